"""`POST /v1/imports` writes a file onto the disk, sealed, and answers with the job that works through it."""

import asyncio
import hashlib
import io
from typing import Annotated, Any, Final

import msgspec
from common.codes.divisions import NATION
from common.errors import BadRequest, Malformed, NoRoom, NotAllowed, Problem, TooBusy
from common.message import derived_id
from fastapi import APIRouter, Depends, Query, Request
from shell import clock
from shell.access.auth import Caller
from shell.access.route_marks import BodyLimit, streams_body
from shell.access.scopes import Everything, OwnSource, scope_of
from shell.http.idempotency import Creates, Creation
from shell.http.params import LINES
from shell.privacy import vault
from shell.service import Db

from ingestion.files import store
from ingestion.files.mapping import MAPPING_BYTES_MAX, Given, read_given, resolve
from ingestion.files.rows import Format, sniff
from ingestion.files.spool import SealedReader, SealedWriter, SpoolFull, need_room, path_of
from ingestion.files.table import FileBroken
from ingestion.files.views import Import, problem, shown
from ingestion.files.workbook import check_archive
from ingestion.register import sources
from ingestion.register.senders import check_digest, sender
from ingestion.settings import ImportSettings

router = APIRouter(tags=["imports"])
_HEAD_BYTES: Final = 1024
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_CONTENTS: Final[dict[str, Any]] = {
    "text/csv": _BINARY,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _BINARY,
    "application/x-ndjson": _BINARY,
    "application/vnd.apache.parquet": _BINARY,
    "application/octet-stream": _BINARY,
}
Kind = Annotated[
    str | None,
    Query(pattern="^[a-z0-9_]{1,40}$", description="kind of event of every row; NDJSON of CloudEvents needs none"),
]
Source = Annotated[
    str | None,
    Query(
        max_length=128, pattern="^[A-Za-z0-9:_.-]+$", description="whose file it is; taken from the token of a source"
    ),
]
MappingText = Annotated[
    str,
    Query(
        max_length=MAPPING_BYTES_MAX, pattern=LINES, description="JSON: columns, defaults, codes, dates, time, sheet, …"
    ),
]


def _limit() -> BodyLimit:
    limits = ImportSettings()
    return BodyLimit(limits.bytes_max, limits.seconds_max)


@router.post(
    "/v1/imports",
    status_code=202,
    summary="Send a file of rows or events",
    openapi_extra={"requestBody": {"required": True, "content": _CONTENTS}},
)
@streams_body(_limit)
async def import_file(
    request: Request,
    caller: Annotated[Caller, Depends(sender("source"))],
    db: Db,
    creation: Creates,
    kind: Kind = None,
    source: Source = None,
    format: Format | None = None,
    mapping: MappingText = "{}",
) -> Import:
    """The body is the file itself. The answer is the job that works through it. The same file with the same mapping
    is the same job, and changes nothing when it is done. A job that failed, or lost its file, goes on.
    `503 spool_full`: the disk has too little room, and nothing is stored."""
    urn = _source(caller, source, kind)
    given = read_given(mapping)
    if kind is not None:
        resolve(kind, given)
    async with db.reading() as connection:
        if await store.count_open(connection, urn) >= ImportSettings().open_max:
            raise TooBusy("too many files of this source wait already", retry_after_seconds=60)
    writer, digest, head = await _spool(request)
    try:
        found = await _format(writer, head, format)
        if kind is None and found != "ndjson":
            raise _broken(FileBroken("kind_needed"))
        return await _enter(db, writer, digest, caller, creation, urn, kind, found, given)
    except BaseException:
        writer.discard()
        raise


def _source(caller: Caller, source: str | None, kind: str | None) -> str | None:
    """Whose file it is; None: every event says it itself, which only the administrator may leave open."""
    scope = scope_of(caller)
    own = scope.source if isinstance(scope, OwnSource) else None
    urn = source or own
    if not isinstance(scope, Everything) and (own is None or urn != own):
        raise NotAllowed("your token speaks for another source", code="source_not_yours")
    if urn is None:
        if kind is not None:
            raise Malformed("rows of a table need a source", code="source_needed")
        return None
    known = sources.registered().get(urn)
    if known is None:
        raise Malformed("this source is not registered", code="source_unknown")
    if kind is not None and kind not in known.ranks:
        raise NotAllowed("this source is not registered for this kind", code="kind_not_registered")
    return urn


async def _spool(request: Request) -> tuple[SealedWriter, bytes, bytes]:
    """The sealed file, a keyed digest of its content, and its first bytes. Never more than a chunk in memory.

    Raises NoRoom before the disk is full: at once if the request tells its length, else while it is written.
    """
    try:
        return await _write(request)
    except SpoolFull:
        raise NoRoom("the disk of the spool is full", code="spool_full", retry_after_seconds=300) from None


async def _write(request: Request) -> tuple[SealedWriter, bytes, bytes]:
    declared = request.headers.get("content-length", "")
    expected = int(declared) if declared.isdigit() else 0
    need_room(expected)
    writer, digest, head = SealedWriter(), hashlib.sha256(), b""
    try:
        async for part in request.stream():
            writer.write(part)
            digest.update(part)
            head = (head + part)[:_HEAD_BYTES] if len(head) < _HEAD_BYTES else head
        check_digest(request, digest.hexdigest())
        await asyncio.to_thread(writer.finish)
    except BaseException:
        writer.discard()
        raise
    return writer, vault().blind_index(f"file\0{digest.hexdigest()}"), head


async def _format(writer: SealedWriter, head: bytes, given: Format | None) -> Format:
    try:
        if not head.strip():
            raise FileBroken("file_empty")
        found = given or sniff(head)
        if found == "xlsx":
            await asyncio.to_thread(_check_archive, writer)
    except FileBroken as broken:
        raise _broken(broken) from None
    return found


def _check_archive(writer: SealedWriter) -> None:
    with io.BufferedReader(SealedReader(writer.spool, writer.size)) as file:
        check_archive(file).close()


def _broken(error: FileBroken) -> BadRequest:
    told = problem(error.code, **error.extra)
    return BadRequest(
        f"the file cannot be imported: {told.detail}",
        code=error.code,
        problems=[Problem(pointer="", code=error.code, detail=told.detail_zh)],
    )


async def _enter(
    db: Db,
    writer: SealedWriter,
    digest: bytes,
    caller: Caller,
    creation: Creation,
    source: str | None,
    kind: str | None,
    format: Format,
    given: Given,
) -> Import:
    mapping = msgspec.json.encode(given, order="sorted")
    import_id = derived_id("import", source or "", kind or "", format, digest.hex(), mapping.decode())
    async with db.transaction() as tx:
        await creation.claim(tx, caller, import_id.encode())
        await creation.created(tx, caller, import_id)
        is_new = await store.insert_import(
            tx,
            import_id=import_id,
            source=source,
            owner=sources.registered()[source].area if source else NATION,
            actor=caller.subject,
            kind=kind,
            format=format,
            mapping=mapping,
            spool=writer.spool,
            size=writer.size,
            at=clock.now(),
        )
        row = await store.lock_import(tx, import_id)
        lost = row["spool"] is None or not path_of(row["spool"]).exists()
        restarted = not is_new and row["state"] != "done" and lost
        if restarted:
            await store.restart(tx, import_id, writer.spool)
            row = await store.lock_import(tx, import_id)
    if not is_new and not restarted:
        writer.discard()
    return shown(row)
