"""`POST /v1/imports` stores a file, sealed, and creates an import. The job `run_imports` records its rows."""

import asyncio
import hashlib
import io
from typing import Annotated, Any, Final, NamedTuple

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
from shell.store.database import Database

from ingestion.files import store
from ingestion.files.domain.table import FileBroken
from ingestion.files.downloads import BINARY
from ingestion.files.mapping import MAPPING_BYTES_MAX, Given, read_given, resolve
from ingestion.files.shapes import ImportOut, import_out, problem_out
from ingestion.files.spool import SealedReader, SealedWriter, SpoolFull, need_room, path_of
from ingestion.files.store import NewImport, StoredImport
from ingestion.files.streams import Format, sniff
from ingestion.files.workbook import check_archive
from ingestion.register import sources
from ingestion.register.senders import check_digest, sender
from ingestion.settings import ImportSettings

router = APIRouter(tags=["imports"])
_HEAD_BYTES: Final = 1024
_CONTENTS: Final[dict[str, Any]] = {
    "text/csv": BINARY,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": BINARY,
    "application/x-ndjson": BINARY,
    "application/vnd.apache.parquet": BINARY,
    "application/octet-stream": BINARY,
}
Kind = Annotated[
    str | None,
    Query(pattern="^[a-z0-9_]{1,40}$", description="kind of event of every row; NDJSON of CloudEvents needs none"),
]
Source = Annotated[
    str | None,
    Query(
        max_length=128, pattern="^[A-Za-z0-9:_.-]+$", description="source of the file; taken from the token of a source"
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
) -> ImportOut:
    """The body is the file. The answer is its import, which a job works through. The same file with the same source,
    kind, format and mapping is the same import. If this import is done or still waits, nothing changes. If it failed
    or its stored file is lost, the job continues.
    `503 spool_full`: the disk has too little free space, and nothing is stored."""
    urn = _source(caller, source, kind)
    given = _read_mapping(mapping, kind)
    await _need_few_open(db, urn)
    upload = await _spool(request)
    try:
        found = await _format(upload, format)
        if kind is None and found != "ndjson":
            raise _broken(FileBroken("kind_needed"))
        new = _new_import(upload, caller, urn, kind, found, given)
        return await _create(db, upload, new, caller, creation)
    except BaseException:
        upload.writer.discard()
        raise


def _read_mapping(text: str, kind: str | None) -> Given:
    """Read and check the mapping. Raises Malformed for a mapping that the job could not use."""
    given = read_given(text)
    if kind is not None:
        resolve(kind, given)
    return given


def _source(caller: Caller, source: str | None, kind: str | None) -> str | None:
    """The source of the file. None: every event names its own source, which only an administrator may send."""
    scope = scope_of(caller)
    own = scope.source if isinstance(scope, OwnSource) else None
    urn = source or own
    if not isinstance(scope, Everything) and (own is None or urn != own):
        raise NotAllowed("your token belongs to another source", code="source_not_yours")
    if urn is None:
        if kind is not None:
            raise Malformed("rows of a table need a source", code="source_needed")
        return None
    _need_registered(urn, kind)
    return urn


def _need_registered(source: str, kind: str | None) -> None:
    known = sources.registered().get(source)
    if known is None:
        raise Malformed("this source is not registered", code="source_unknown")
    if kind is not None and kind not in known.ranks:
        raise NotAllowed("this source is not registered for this kind", code="kind_not_registered")


async def _need_few_open(db: Database, source: str | None) -> None:
    async with db.reading() as connection:
        count = await store.count_open(connection, source)
    if count >= ImportSettings().open_max:
        raise TooBusy("too many files of this source wait already", retry_after_seconds=60)


class _Upload(NamedTuple):
    """A file on the disk. `digest`: keyed hash of its content; `head`: its first _HEAD_BYTES bytes."""

    writer: SealedWriter
    digest: bytes
    head: bytes


async def _spool(request: Request) -> _Upload:
    """Write the body to the disk, part by part. Raises NoRoom if the disk has too little free space."""
    try:
        return await _write(request)
    except SpoolFull:
        raise NoRoom("the disk of the spool is full", code="spool_full", retry_after_seconds=300) from None


async def _write(request: Request) -> _Upload:
    need_room(_declared_bytes(request))
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
    return _Upload(writer, vault().blind_index(f"file\0{digest.hexdigest()}"), head)


def _declared_bytes(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else 0


async def _format(upload: _Upload, given: Format | None) -> Format:
    """The format that the sender has given, or that the first bytes show. Raises BadRequest for an unusable file."""
    try:
        if not upload.head.strip():
            raise FileBroken("file_empty")
        found = given or sniff(upload.head)
        if found == "xlsx":
            await asyncio.to_thread(_check_archive, upload.writer)
    except FileBroken as broken:
        raise _broken(broken) from None
    return found


def _check_archive(writer: SealedWriter) -> None:
    with io.BufferedReader(SealedReader(writer.spool, writer.size)) as file:
        check_archive(file).close()


def _broken(error: FileBroken) -> BadRequest:
    problem = problem_out(error.code, **error.extra)
    return BadRequest(
        f"the file cannot be imported: {problem.detail}",
        code=error.code,
        problems=[Problem(pointer="", code=error.code, detail=problem.detail_zh)],
    )


def _new_import(
    upload: _Upload, caller: Caller, source: str | None, kind: str | None, format: Format, given: Given
) -> NewImport:
    """Build the import. Its id follows from the content of the file, its source, kind, format and mapping."""
    mapping = msgspec.json.encode(given, order="sorted")
    return NewImport(
        import_id=derived_id("import", source or "", kind or "", format, upload.digest.hex(), mapping.decode()),
        source=source,
        owner=sources.registered()[source].area if source else NATION,
        actor=caller.user,
        kind=kind,
        format=format,
        mapping=mapping,
        spool=upload.writer.spool,
        bytes=upload.writer.size,
        received_at=clock.now(),
    )


async def _create(db: Database, upload: _Upload, new: NewImport, caller: Caller, creation: Creation) -> ImportOut:
    """Insert the import, or restart it if it is not done and has no stored file. In any other case the import exists
    already, and the new file is deleted."""
    async with db.transaction() as tx:
        await creation.claim(tx, caller, new.import_id.encode())
        await creation.created(tx, caller, new.import_id)
        is_new = await store.insert_import(tx, new)
        stored = await store.lock_import(tx, new.import_id)
        is_restarted = not is_new and _needs_file(stored)
        if is_restarted:
            await store.restart(tx, new.import_id, new.spool)
            stored = await store.lock_import(tx, new.import_id)
    if not is_new and not is_restarted:
        upload.writer.discard()
    return import_out(stored)


def _needs_file(stored: StoredImport) -> bool:
    """Whether the import is not finished and has no file on the disk."""
    is_lost = stored.spool is None or not path_of(stored.spool).exists()
    return stored.state != "done" and is_lost
