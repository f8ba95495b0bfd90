"""Routes that show imports and return their rejected rows.

`GET /v1/imports`, `/v1/imports/{import_id}` and `/v1/imports/{import_id}/rejects`.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from shell.access.auth import Caller, require
from shell.access.scopes import Everything, OwnSource, Scope, scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.privacy import vault
from shell.service import Db
from shell.store.database import Database

from ingestion.domain.problems import PROBLEMS
from ingestion.files import store
from ingestion.files.downloads import BINARY, csv_file, ndjson_file
from ingestion.files.rejects import Kept, KeptReject, as_csv, open_reject
from ingestion.files.shapes import ImportOut, ImportPageOut, import_out
from ingestion.files.store import StoredImport
from ingestion.register.sources import registered

router = APIRouter(tags=["imports"])
PAGE: Final = 500


@router.get("/v1/imports", summary="Files that were sent")
async def list_imports(
    caller: Annotated[Caller, Depends(require("source", "officer", "auditor"))],
    db: Db,
    limit: Limit = 100,
    after: UUID | None = None,
) -> ImportPageOut:
    """A source sees its own files, others see those of the sources in their area. Only callers of the nation see a file
    whose events name their own sources. The files are in the order of their ids."""
    source, owners = _visible(scope_of(caller))
    async with db.reading() as connection:
        found = await store.list_imports(connection, source, owners, str(after) if after else None, limit)
    page = [import_out(stored) for stored in found]
    return ImportPageOut(imports=page, next=page[-1].import_id if len(page) == limit else None)


def _visible(scope: Scope) -> tuple[str | None, list[str] | None]:
    """The source and the owners whose imports the caller may see. Both are None if these are all imports."""
    if isinstance(scope, OwnSource):
        return scope.source, None
    if isinstance(scope, Everything):
        return None, None
    areas = {source.area for source in registered().values()} | {divisions.NATION}
    return None, [area for area in areas if scope.sees(area)]


@router.get("/v1/imports/{import_id}", summary="The progress of a file")
async def show_import(
    import_id: UUID, caller: Annotated[Caller, Depends(require("source", "officer", "auditor"))], db: Db
) -> ImportOut:
    async with db.reading() as connection:
        stored = await store.load_import(connection, str(import_id))
    return import_out(_need_visible(stored, caller))


@router.get(
    "/v1/imports/{import_id}/rejects",
    summary="The rejected rows, with their reasons",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": BINARY, "application/x-ndjson": BINARY}}},
)
async def list_rejects(
    import_id: UUID, caller: Annotated[Caller, Depends(require("source", "officer"))], db: Db
) -> StreamingResponse:
    """Audited. CSV (UTF-8) with the columns of the file and 行号, 原因, 原因代码; for NDJSON its lines with `problems`.
    The corrected file can be sent as it is. A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    key = str(import_id)
    async with db.transaction() as tx:
        stored = _need_visible(await store.load_import(tx.sql, key), caller)
        await audits.append(tx, caller, act="import_rejects", purpose="correct", cause=key, fields=["row"])
    pages, name = _pages(db, key), f"rejects-{key}"
    if stored.format == "ndjson":
        return ndjson_file(_as_ndjson(pages), name)
    return csv_file(as_csv(pages, _headers(stored)), name)


def _need_visible(stored: StoredImport | None, caller: Caller) -> StoredImport:
    """Return the import. Raises NotFound if it does not exist or the caller may not see it."""
    if stored is not None:
        scope = scope_of(caller)
        is_own = isinstance(scope, OwnSource) and stored.source == scope.source
        if is_own or (not isinstance(scope, OwnSource) and scope.sees(stored.owner)):
            return stored
    raise NotFound("no such import")


def _headers(stored: StoredImport) -> list[list[str]]:
    if not stored.headers:
        return []
    opened = vault().open(stored.headers, f"import/{stored.import_id}/headers".encode())
    return msgspec.json.decode(opened, type=list[list[str]])


async def _pages(db: Database, import_id: str) -> AsyncIterator[list[KeptReject]]:
    """Yield the rejected rows of an import in the order of the file, at most PAGE rows at a time."""
    after = 0
    while True:
        async with db.reading() as connection:
            rows = await store.list_rejects(connection, import_id, after, PAGE)
        if rows:
            yield [open_reject(r.problems, r.sealed, f"import/{import_id}/{r.row}") for r in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1].row


async def _as_ndjson(pages: AsyncIterator[list[KeptReject]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(_line(reject) + b"\n" for reject in page)


def _line(reject: KeptReject) -> bytes:
    """The rejected line with its number and its problems."""
    kept, problems = reject
    shown = [{"pointer": p["pointer"], "code": p["code"], "detail_zh": PROBLEMS[p["code"]][1]} for p in problems]
    cut = {"cut": True} if kept.cut else {}
    return msgspec.json.encode({**_object(kept), "row": kept.place, "problems": shown} | cut)


def _object(kept: Kept) -> dict[str, Any]:
    """The original object of a line. For a line that is no object or was shortened: its text under the key `line`."""
    line = kept.cells[0] if kept.cells else ""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"line": line}
