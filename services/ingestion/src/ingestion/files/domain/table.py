"""Defines the tables, rows and cells that all readers of files yield, and the limits of all readers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

ROW_CHARS_MAX: Final = 64 * 1024
COLUMNS_MAX: Final = 256
HEADER_ROWS_MAX: Final = 20
CELL_CHARS_KEPT: Final = 1_000
TABLES_MAX: Final = 500
HEADER_CHARS_KEPT: Final = 100
REJECT_BYTES_MAX: Final = 8 * 1024  # text of one rejected row as it is stored
CUT: Final = "…（已截断）"  # the end of a cell that was shortened
DAY_ZERO: Final = date(1899, 12, 30)


class FileBroken(Exception):
    """The whole file cannot be imported. `code` is on the published list. `extra`: details for the sender."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class BadCell(NamedTuple):
    """A cell without a usable value, such as #N/A or a formula without a result. `code`: the reason."""

    code: str
    text: str


class Calculated(NamedTuple):
    """The result of a formula, as it was saved with the file."""

    value: Any


class TooLong(NamedTuple):
    """The beginning of a value that is longer than a row may be."""

    text: str


Cell = str | int | float | bool | date | datetime | bytes | None | BadCell | Calculated | TooLong


class Row(NamedTuple):
    """A row of a table. `place`: its number as a spreadsheet shows it. `broken`: the code why the row cannot be used;
    then `cells` has the readable part."""

    place: int
    cells: Sequence[Cell]
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet, or the only table of a file. `serials_from`: day 0 of its serial day numbers."""

    name: str
    rows: Iterator[Row]
    serials_from: date = DAY_ZERO


def text_of(cell: Cell) -> str:
    """A cell as the sender sees it in the file of rejects."""
    if cell is None:
        return ""
    if isinstance(cell, TooLong):
        return cell.text + CUT
    if isinstance(cell, Calculated):
        return text_of(cell.value)
    if isinstance(cell, BadCell):
        return cell.text
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def is_blank(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────


def chars_of(cells: Sequence[Any]) -> int:
    """The total length of all text cells. Bytes count as characters. A list or JSON object of a database counts as it
    is written in the file of rejects."""
    texts = (str(cell) if isinstance(cell, list | dict) else cell for cell in cells)
    return sum(len(text) for text in texts if isinstance(text, str | bytes))


def bounded(place: int, cells: Sequence[Cell]) -> Row:
    """Make a row. A row with more than ROW_CHARS_MAX characters is broken (`row_too_long`), and its cells are
    shortened."""
    if chars_of(cells) <= ROW_CHARS_MAX and TooLong not in map(type, cells):
        return Row(place, cells)
    return Row(place, shortened([text_of(cell) for cell in cells], REJECT_BYTES_MAX), "row_too_long")


def shortened(texts: Sequence[str], bytes_max: int) -> list[str]:
    """Shorten texts to at most `bytes_max` bytes of UTF-8 in total. The longest ones are cut to one common length and
    end with CUT; short ones stay whole."""
    sizes = [len(text.encode("utf-8", "replace")) for text in texts]
    if sum(sizes) <= bytes_max:
        return list(texts)
    limit = _common_limit(sizes, bytes_max)
    return [
        text if size <= limit else _cut(text, limit - len(CUT.encode()))
        for text, size in zip(texts, sizes, strict=True)
    ]


def _common_limit(sizes: Sequence[int], bytes_max: int) -> int:
    """The largest size such that all texts, each cut to it, fit into `bytes_max`."""
    left, count = bytes_max, len(sizes)
    for size in sorted(sizes):
        if size > left // count:
            break
        left, count = left - size, count - 1
    return left // max(count, 1)


def _cut(text: str, bytes_max: int) -> str:
    return text.encode("utf-8", "replace")[: max(bytes_max, 0)].decode("utf-8", "ignore") + CUT
