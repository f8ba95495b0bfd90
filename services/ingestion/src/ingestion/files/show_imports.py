"""`GET /v1/imports`, `GET /v1/imports/{import_id}` and the rows that were refused, as a file of the same shape."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from common.codes import divisions
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import Everything, OwnSource, Scope, scope_of
from shell.http.answers import Limit
from shell.privacy import vault
from shell.service import Db
from shell.store.database import Database

from ingestion.audits import store as audits
from ingestion.domain.problems import PROBLEMS
from ingestion.files import store
from ingestion.files.rejects import Kept, Problems, as_csv, open_reject
from ingestion.files.views import Import, need_access, shown
from ingestion.register.sources import registered

router = APIRouter(tags=["imports"])
PAGE: Final = 500
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


class ImportPage(BaseModel):
    imports: list[Import]
    next: str | None


@router.get("/v1/imports", summary="Files that were sent")
async def list_imports(
    caller: Annotated[Caller, Depends(require("source", "officer", "auditor"))],
    db: Db,
    limit: Limit = 100,
    after: UUID | None = None,
) -> ImportPage:
    """Of yourself as a source, of your area as an officer; in the order of their ids."""
    scope = scope_of(caller)
    source = scope.source if isinstance(scope, OwnSource) else None
    owners = None if isinstance(scope, OwnSource | Everything) else _owners(scope)
    async with db.reading() as connection:
        rows = await store.list_imports(connection, source, owners, str(after) if after else None, limit)
    page = [shown(row) for row in rows]
    return ImportPage(imports=page, next=page[-1].import_id if len(page) == limit else None)


def _owners(scope: Scope) -> list[str]:
    areas = {source.area for source in registered().values()} | {divisions.NATION}
    return [area for area in areas if scope.sees(area)]


@router.get("/v1/imports/{import_id}", summary="How far a file is worked through")
async def show_import(
    import_id: UUID, caller: Annotated[Caller, Depends(require("source", "officer", "auditor"))], db: Db
) -> Import:
    async with db.reading() as connection:
        row = await store.load_import(connection, str(import_id))
    need_access(row, caller)
    return shown(row)


@router.get(
    "/v1/imports/{import_id}/rejects",
    summary="The refused rows, with their reasons",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": _BINARY, "application/x-ndjson": _BINARY}}},
)
async def list_rejects(
    import_id: UUID, caller: Annotated[Caller, Depends(require("source", "officer"))], db: Db
) -> StreamingResponse:
    """Audited. CSV (UTF-8) with the columns of the file and 行号, 原因, 原因代码; of NDJSON its lines with `problems`.
    Corrected, it can be sent as it is. A cell that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    key = str(import_id)
    async with db.transaction() as tx:
        row = await store.load_import(tx.sql, key)
        need_access(row, caller)
        await audits.append_audit(
            tx, caller, clock.real_now(), action="import_rejects", purpose="correct", cause=key, fields=["row"]
        )
    is_ndjson = row["format"] == "ndjson"
    parts = _ndjson(db, key) if is_ndjson else as_csv(_pages(db, key), _headers(row))
    name = f"rejects-{key}.{'ndjson' if is_ndjson else 'csv'}"
    return StreamingResponse(
        parts,
        media_type="application/x-ndjson" if is_ndjson else "text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _headers(row: Any) -> list[list[str]]:
    if not row["headers"]:
        return []
    opened = vault().open(row["headers"], f"import/{row['import_id']}/headers".encode())
    return msgspec.json.decode(opened, type=list[list[str]])


async def _pages(db: Database, import_id: str) -> AsyncIterator[list[tuple[Kept, Problems]]]:
    after = 0
    while True:
        async with db.reading() as connection:
            rows = await store.list_rejects(connection, import_id, after, PAGE)
        if rows:
            yield [open_reject(r["problems"], r["sealed"], f"import/{import_id}/{r['row']}") for r in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1]["row"]


async def _ndjson(db: Database, import_id: str) -> AsyncIterator[bytes]:
    async for page in _pages(db, import_id):
        lines = []
        for kept, problems in page:
            told = [{"pointer": p["pointer"], "code": p["code"], "detail_zh": PROBLEMS[p["code"]][1]} for p in problems]
            cut = {"cut": True} if kept.cut else {}
            lines.append(msgspec.json.encode({**_object(kept), "row": kept.place, "problems": told} | cut))
        yield b"\n".join(lines) + b"\n"


def _object(kept: Kept) -> dict[str, Any]:
    """The line as it was, or as text if it was no object or was shortened."""
    line = kept.cells[0] if kept.cells else ""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"line": line}
