"""Reads the rows of one XLSX sheet as a stream."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from typing import IO, Final
from xml.parsers import expat

from ingestion.files.domain.dates import day_of
from ingestion.files.domain.table import (
    CELL_CHARS_KEPT,
    COLUMNS_MAX,
    CUT,
    ROW_CHARS_MAX,
    BadCell,
    Calculated,
    Cell,
    FileBroken,
    Row,
)
from ingestion.files.markup import local, new_parser, parse

_WHOLE_MAX: Final = 10**15  # a spreadsheet keeps 15 digits: a longer number has lost some
_COLUMN = re.compile(r"[A-Z]{1,3}")
_TEXT_TAGS: Final = ("v", "t", "f")


def rows(part: IO[bytes], string: Callable[[int], str], dates: frozenset[int], zero: date) -> Iterator[Row]:
    """Yield all rows of a sheet. Raises FileBroken.

    `string` returns the shared text with a number. `dates`: numbers of the cell styles that show a date; `zero`: day 0
    of serial day numbers."""
    reader = _Reader(string, dates, zero)
    try:
        for _ in parse(reader.parser, part):
            yield from reader.rows
            reader.rows.clear()
    except (zipfile.BadZipFile, zlib.error, EOFError, expat.ExpatError, IndexError, ValueError) as wrong:
        raise FileBroken("file_broken", row=reader.place) from wrong


class _Reader:
    """Handles the events of the parser. `place`: number of the present row; `rows`: complete rows, to be taken."""

    def __init__(self, string: Callable[[int], str], dates: frozenset[int], zero: date) -> None:
        self.parser = new_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.rows: list[Row] = []
        self.place = 0
        self._string, self._dates, self._zero = string, dates, zero
        self._cells: list[Cell] = []
        self._broken: str | None = None
        self._size = self._column = 0
        self._attributes: dict[str, str] = {}
        self._texts: dict[str, list[str]] = {}
        self._open_text: list[str] | None = None
        self._phonetic = 0  # depth in elements with a pronunciation, which is not read

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name in _TEXT_TAGS:
            self._open_text = self._texts.setdefault(name, []) if not self._phonetic else None
        elif name == "c":
            self._attributes, self._texts = attributes, {}
        elif name == "row":
            self._begin_row(attributes)
        elif name == "rPh":
            self._phonetic += 1

    def _begin_row(self, attributes: dict[str, str]) -> None:
        self.place = int(attributes.get("r", self.place + 1))
        self._cells, self._broken, self._size, self._column = [], None, 0, 0

    def _text(self, data: str) -> None:
        if self._open_text is None:
            return
        self._size += len(data)
        if self._size > ROW_CHARS_MAX:
            self._broken, data = "row_too_long", data[: CELL_CHARS_KEPT if not self._open_text else 0]
        self._open_text.append(data)

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name in _TEXT_TAGS:
            self._open_text = None
        elif name == "c":
            self._add_cell()
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "row":
            self.rows.append(Row(self.place, self._cells, self._broken))

    def _add_cell(self) -> None:
        column = _index(self._attributes.get("r"), self._column)
        self._column = column + 1
        if not self._texts:
            return
        if column >= COLUMNS_MAX:
            self._broken = self._broken or "row_columns"
            return
        value = self._within_row(self._value())
        self._cells.extend([None] * (column - len(self._cells)))
        if column == len(self._cells):
            self._cells.append(value)

    def _within_row(self, value: Cell) -> Cell:
        """Return the value, shortened if the text of the row is longer than ROW_CHARS_MAX. The row is then broken.

        Shared text is counted here; other text was counted while it was read."""
        if not isinstance(value, str):
            return value
        if self._attributes.get("t") == "s":
            self._size += len(value)
        if self._size <= ROW_CHARS_MAX:
            return value
        self._broken = "row_too_long"
        return value[:CELL_CHARS_KEPT] + CUT

    def _value(self) -> Cell:
        kind, texts = self._attributes.get("t", "n"), self._texts
        text = "".join(texts.get("t" if kind == "inlineStr" else "v", ()))
        if "f" not in texts:
            return self._plain(kind, text)
        has_result = bool(text) or (kind == "str" and "v" in texts)
        if not has_result:
            return BadCell("cell_formula", "=" + "".join(texts["f"])[:CELL_CHARS_KEPT])
        value = self._plain(kind, text)
        return value if isinstance(value, BadCell) else Calculated(value)

    def _plain(self, kind: str, text: str) -> Cell:
        match kind:
            case "s":
                return self._string(int(text)) if text.isascii() and text.isdigit() else None
            case "b":
                return text == "1"
            case "e":
                return BadCell("cell_error", text)
            case "n":
                return self._number(text)
            case _:
                return text

    def _number(self, text: str) -> Cell:
        try:
            number = float(text)
        except ValueError:
            return text or None
        if self._is_date():
            return day_of(number, self._zero) or number
        return int(number) if number.is_integer() and abs(number) < _WHOLE_MAX else number

    def _is_date(self) -> bool:
        style = self._attributes.get("s", "0")
        return style.isascii() and style.isdigit() and int(style) in self._dates


def _index(reference: str | None, following: int) -> int:
    """The index of a cell: `C7` is in column 2. A cell without a reference is in the column `following`."""
    found = _COLUMN.match(reference) if reference else None
    if found is None:
        return following
    number = 0
    for letter in found.group():
        number = number * 26 + ord(letter) - 64
    return number - 1
