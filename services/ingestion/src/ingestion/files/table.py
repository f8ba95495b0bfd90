"""What every reader yields: tables of rows of cells, as they stand in the file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

ROW_CHARS_MAX: Final = 64 * 1024
COLUMNS_MAX: Final = 256
HEADER_ROWS_MAX: Final = 20
CELL_CHARS_KEPT: Final = 1_000
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


Cell = str | int | float | bool | date | datetime | None | BadCell | Calculated


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
    """A cell as it is shown to whoever has to correct it."""
    if cell is None:
        return ""
    if isinstance(cell, Calculated):
        return text_of(cell.value)
    if isinstance(cell, BadCell):
        return cell.text
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return str(cell)


def is_blank(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)
