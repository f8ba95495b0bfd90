"""Rejected rows of files and of front-end tables: how they are stored, and the file in which they are sent back."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from shell.privacy import vault

from ingestion.domain.problems import PROBLEMS, Fault
from ingestion.files.row_events import Shaped
from ingestion.files.table import CUT, REJECT_BYTES_MAX, shortened, text_of

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_ADDED: Final = ("行号", "原因", "原因代码")
_CUT_TEXT: Final = "该行过长，此处有截断，请以原文件为准"
_encode = msgspec.json.Encoder().encode
Problems = list[dict[str, Any]]


class Kept(msgspec.Struct):
    """A rejected row: its number, which of the headers is its own, and its cells as text. `cut`: some cells are
    shortened, or (no cells at all) the rejects of the file have reached their limit."""

    place: int
    table: int
    cells: list[str]
    cut: bool = False


def keep(shaped: Shaped, faults: Sequence[Fault], context: str, *, with_cells: bool = True) -> tuple[bytes, bytes]:
    """The problems as JSON, and the row, sealed: at most REJECT_BYTES_MAX bytes of text."""
    problems = _encode([{"pointer": f.pointer, "code": f.code, "column": _column(shaped, f)} for f in faults])
    texts = [text_of(cell) for cell in shaped.row.cells]
    cells = shortened(texts, REJECT_BYTES_MAX) if with_cells else []
    is_cut = cells != texts or any(text.endswith(CUT) for text in texts)
    kept = Kept(shaped.row.place, shaped.table, cells, is_cut)
    return problems, vault().seal(_encode(kept), context.encode())


def _column(shaped: Shaped, of: Fault) -> str | None:
    """The column that fills the place a fault points at, or a place around it."""
    return next(
        (name for at, name in shaped.columns.items() if of.pointer == at or of.pointer.startswith(f"{at}/")), None
    )


def read_kept(problems: bytes, sealed: bytes, context: str) -> tuple[Kept, Problems]:
    return msgspec.json.decode(vault().open(sealed, context.encode()), type=Kept), msgspec.json.decode(problems)


async def as_csv(
    pages: AsyncIterator[list[tuple[Kept, Problems]]], headers: Sequence[Sequence[str]]
) -> AsyncIterator[bytes]:
    """The columns of all tables, then 行号, 原因, 原因代码. The reasons say where a row was shortened."""
    columns, places = _united(headers)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")  # without it spreadsheets take UTF-8 for something else
    writer.writerow([_harmless(name) for name in columns] + list(_ADDED))
    async for page in pages:
        for kept, problems in page:
            cells = [""] * len(columns)
            for at, cell in enumerate(kept.cells):
                place = places[kept.table][at] if kept.table < len(places) and at < len(places[kept.table]) else at
                if place < len(cells):
                    cells[place] = cell
            reasons = _reasons(problems) + (f"；{_CUT_TEXT}" if kept.cut else "")
            writer.writerow([*map(_harmless, cells), kept.place, reasons, _codes(problems)])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    if buffer.tell():
        yield buffer.getvalue().encode()


def _united(headers: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """The columns of all tables in one row, and for each table where its own columns stand in it."""
    columns: list[tuple[str, int]] = []
    places: list[list[int]] = []
    for header in headers:
        own: list[int] = []
        for at, name in enumerate(header):
            key = (name, list(header[:at]).count(name))
            if key not in columns:
                columns.append(key)
            own.append(columns.index(key))
        places.append(own)
    return [name for name, _ in columns], places


def _harmless(cell: str) -> str:
    """A spreadsheet must not run what a stranger wrote into a cell."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _reasons(problems: Problems) -> str:
    return "；".join((f"{p['column']}：" if p["column"] else "") + PROBLEMS[p["code"]][1] for p in problems)


def _codes(problems: Problems) -> str:
    return "; ".join(f"{p['code']} {p['pointer']}".rstrip() for p in problems)
