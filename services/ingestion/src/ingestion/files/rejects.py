"""Stores rejected rows of files and front-end tables, and writes the file that returns them to the sender."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from shell.privacy import vault

from ingestion.domain.problems import PROBLEMS, Fault
from ingestion.files.domain.table import CUT, REJECT_BYTES_MAX, shortened, text_of
from ingestion.files.row_events import Shaped

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_ADDED: Final = ("行号", "原因", "原因代码")
_CUT_TEXT: Final = "该行过长，此处有截断，请以原文件为准"
_encode = msgspec.json.Encoder().encode
Problems = list[dict[str, Any]]


class Kept(msgspec.Struct):
    """A rejected row. `place`: its number; `table`: number of its header in the file; `cells`: as text. `cut`: cells
    are shortened, or left out because the rejected rows of the file have reached their limit."""

    place: int
    table: int
    cells: list[str]
    cut: bool = False


KeptReject = tuple[Kept, Problems]


def keep(shaped: Shaped, faults: Sequence[Fault], context: str, *, with_cells: bool = True) -> tuple[bytes, bytes]:
    """Return the stored form of a rejected row: its problems as JSON, and the row, sealed.

    The row keeps at most REJECT_BYTES_MAX bytes of text, and none without `with_cells`. `context`: the name of the
    stored row, which is part of the seal."""
    texts = [text_of(cell) for cell in shaped.row.cells]
    cells = shortened(texts, REJECT_BYTES_MAX) if with_cells else []
    is_cut = cells != texts or any(text.endswith(CUT) for text in texts)
    kept = Kept(shaped.row.place, shaped.table, cells, is_cut)
    problems = [{"pointer": each.pointer, "code": each.code, "column": _column(shaped, each)} for each in faults]
    return _encode(problems), vault().seal(_encode(kept), context.encode())


def _column(shaped: Shaped, of: Fault) -> str | None:
    """The name of the column whose field has the fault or contains it; None if no column does."""
    for pointer, name in shaped.columns.items():
        if of.pointer == pointer or of.pointer.startswith(f"{pointer}/"):
            return name
    return None


def open_reject(problems: bytes, sealed: bytes, context: str) -> KeptReject:
    """Read a rejected row from the stored form that `keep` made with the same `context`."""
    kept = msgspec.json.decode(vault().open(sealed, context.encode()), type=Kept)
    return kept, msgspec.json.decode(problems)


async def as_csv(pages: AsyncIterator[list[KeptReject]], headers: Sequence[Sequence[str]]) -> AsyncIterator[bytes]:
    """Yield a CSV file of rejected rows: the columns of all tables, then 行号, 原因, 原因代码. The reason of a row with
    shortened cells says so.

    `headers`: the column names of each table."""
    columns, positions = _merge(headers)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")  # the mark by which spreadsheets detect UTF-8
    writer.writerow([_harmless(name) for name in columns] + list(_ADDED))
    async for page in pages:
        for kept, problems in page:
            own = positions[kept.table] if kept.table < len(positions) else []
            cells = map(_harmless, _in_columns(kept.cells, own, len(columns)))
            writer.writerow([*cells, kept.place, _reasons(kept, problems), _codes(problems)])
        yield _drain(buffer)
    if buffer.tell():
        yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content


def _merge(headers: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """One header for all tables, and for each table the positions of its columns in it."""
    columns: dict[tuple[str, int], int] = {}
    positions = [[columns.setdefault(key, len(columns)) for key in _numbered(header)] for header in headers]
    return [name for name, _ in columns], positions


def _numbered(header: Sequence[str]) -> list[tuple[str, int]]:
    """Each name with the number of equal names before it: a table may have several columns of one name."""
    return [(name, list(header[:at]).count(name)) for at, name in enumerate(header)]


def _in_columns(cells: Sequence[str], own: Sequence[int], width: int) -> list[str]:
    """Put the cells of a row into the merged columns. `own`: the position of each column of its table.

    A cell beyond the header of its table keeps its position, if there is a column."""
    found = [""] * width
    for at, cell in enumerate(cells):
        position = own[at] if at < len(own) else at
        if position < width:
            found[position] = cell
    return found


def _harmless(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _reasons(kept: Kept, problems: Problems) -> str:
    reasons = [(f"{p['column']}：" if p["column"] else "") + PROBLEMS[p["code"]][1] for p in problems]
    return "；".join([*reasons, _CUT_TEXT] if kept.cut else reasons)


def _codes(problems: Problems) -> str:
    return "; ".join(f"{p['code']} {p['pointer']}".rstrip() for p in problems)
