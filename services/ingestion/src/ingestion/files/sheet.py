"""One XLSX sheet as a stream of rows."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any, Final
from xml.parsers import expat

from ingestion.files.markup import local, new_parser, parse
from ingestion.files.table import (
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

_WHOLE_MAX: Final = 10**15  # a spreadsheet keeps 15 digits: what is longer has lost some
_SERIAL_MAX: Final = 2_958_465
_LEAP_BUG_UNTIL: Final = 60  # the year 1900 was no leap year, but 1-2-3 thought so
_COLUMN = re.compile(r"[A-Z]{1,3}")
_TEXTS: Final = ("v", "t", "f")


def rows(part: IO[bytes], string: Callable[[int], str], dates: frozenset[int], zero: date) -> Iterator[Row]:
    """Every row that the sheet has; `string` looks up shared text, `dates` are the styles that show a date."""
    reader = _Reader(string, dates, zero)
    try:
        for _ in parse(reader.parser, part):
            yield from reader.rows
            reader.rows.clear()
    except (zipfile.BadZipFile, zlib.error, EOFError, expat.ExpatError, IndexError, ValueError) as wrong:
        raise FileBroken("file_broken", row=reader.place) from wrong


class _Reader:
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
        self._taken: dict[str, list[str]] = {}
        self._now: list[str] | None = None
        self._phonetic = 0

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name in _TEXTS:
            self._now = self._taken.setdefault(name, []) if not self._phonetic else None
        elif name == "c":
            self._attributes, self._taken = attributes, {}
        elif name == "row":
            self.place = int(attributes.get("r", self.place + 1))
            self._cells, self._broken, self._size, self._column = [], None, 0, 0
        elif name == "rPh":
            self._phonetic += 1

    def _text(self, data: str) -> None:
        if self._now is None:
            return
        self._size += len(data)
        if self._size > ROW_CHARS_MAX:
            self._broken, data = "row_too_long", data[: CELL_CHARS_KEPT if not self._now else 0]
        self._now.append(data)

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name in _TEXTS:
            self._now = None
        elif name == "c":
            self._put()
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "row":
            self.rows.append(Row(self.place, self._cells, self._broken))

    def _put(self) -> None:
        column = _index(self._attributes.get("r"), self._column)
        self._column = column + 1
        if not self._taken:
            return
        if column >= COLUMNS_MAX:
            self._broken = self._broken or "row_columns"
            return
        value = self._value()
        if isinstance(value, str):
            self._size += len(value) if self._attributes.get("t") == "s" else 0
            if self._size > ROW_CHARS_MAX:
                self._broken, value = "row_too_long", value[:CELL_CHARS_KEPT] + CUT
        self._cells.extend([None] * (column - len(self._cells)))
        if column == len(self._cells):
            self._cells.append(value)

    def _value(self) -> Cell:
        kind, taken = self._attributes.get("t", "n"), self._taken
        text = "".join(taken.get("v", ())) if kind != "inlineStr" else "".join(taken.get("t", ()))
        if "f" not in taken:
            return self._plain(kind, text)
        if text or (kind == "str" and "v" in taken):
            value = self._plain(kind, text)
            return value if isinstance(value, BadCell) else Calculated(value)
        return BadCell("cell_formula", "=" + "".join(taken["f"])[:CELL_CHARS_KEPT])

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
        style = self._attributes.get("s", "0")
        if style.isascii() and style.isdigit() and int(style) in self._dates:
            return day_of(number, self._zero) or number
        return int(number) if number.is_integer() and abs(number) < _WHOLE_MAX else number


def _index(reference: str | None, following: int) -> int:
    """`C7` is column 2; without a reference it is the following one."""
    found = _COLUMN.match(reference) if reference else None
    if found is None:
        return following
    number = 0
    for letter in found.group():
        number = number * 26 + ord(letter) - 64
    return number - 1


def day_of(serial: float, zero: date) -> Any:
    """The day, or the moment, that a serial day number means; None when it can mean none."""
    if not 1 <= serial <= _SERIAL_MAX:
        return None
    whole = int(serial)
    early = zero.year == 1899 and whole < _LEAP_BUG_UNTIL
    day = zero + timedelta(days=whole + early)
    if serial == whole:
        return day
    return datetime.combine(day, time()) + timedelta(seconds=round((serial - whole) * 86_400))
