"""The tables, rows and cells that every reader yields, and the limits that every reader keeps."""

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
REJECT_BYTES_MAX: Final = 8 * 1024  # of one rejected row, as it is stored
CUT: Final = "…（已截断）"  # the end of a cell that was shortened
DAY_ZERO: Final = date(1899, 12, 30)


class FileBroken(Exception):
    """The file as a whole cannot be worked through; `code` is on the published list. `extra`: more for the sender."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class BadCell(NamedTuple):
    """A cell that has no value to go by; `code` says why (a formula never calculated, an error such as #N/A)."""

    code: str
    text: str


class Calculated(NamedTuple):
    """What a formula had come to when the file was saved."""

    value: Any


class TooLong(NamedTuple):
    """The beginning of a value that alone is longer than a row may be."""

    text: str


Cell = str | int | float | bool | date | datetime | bytes | None | BadCell | Calculated | TooLong


class Row(NamedTuple):
    """`place`: its number as a spreadsheet shows it, title rows included; `broken`: why it could not be taken apart
    into cells, then `cells` holds what could be read of it."""

    place: int
    cells: Sequence[Cell]
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One sheet, or the only table of a file. `serials_from`: day 0 of its serial day numbers."""

    name: str
    rows: Iterator[Row]
    serials_from: date = DAY_ZERO


def text_of(cell: Cell) -> str:
    """A cell as it is shown to the person who has to correct it."""
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
    return str(cell)


def is_blank(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────


def chars_of(cells: Sequence[Cell]) -> int:
    """The characters of all cells of text of a row together; bytes count as characters."""
    return sum(len(cell) for cell in cells if isinstance(cell, str | bytes))


def bounded(place: int, cells: Sequence[Cell]) -> Row:
    """The row. If its text is longer than ROW_CHARS_MAX, only the beginning of each cell, marked as `row_too_long`."""
    if chars_of(cells) <= ROW_CHARS_MAX and TooLong not in map(type, cells):
        return Row(place, cells)
    return Row(place, shortened([text_of(cell) for cell in cells], REJECT_BYTES_MAX), "row_too_long")


def shortened(texts: Sequence[str], bytes_max: int) -> list[str]:
    """The texts if they have at most `bytes_max` bytes together. Otherwise the longest are cut to one common length
    and end with CUT, and short ones stay whole."""
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
