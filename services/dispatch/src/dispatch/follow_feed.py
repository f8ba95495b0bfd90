"""A provider, its visitors and auditors read the provider's messages over HTTP: with a cursor, or as a stream."""

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Annotated, Final

import asyncpg
from common.errors import NotAllowed, TooBusy
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from shell.access.auth import Caller, require
from shell.access.scopes import Scope, scope_of
from shell.http.answers import Limit
from shell.http.params import Uscc
from shell.http.streams import EventStream, closing_of
from shell.service import Db
from shell.store.database import Database

from dispatch import store
from dispatch.shapes import FeedOut, message_out
from dispatch.visibility import need_feed, sees_whole_feed

router = APIRouter(tags=["feed"])
Subscriber = Annotated[Caller, Depends(require("provider", "visitor", "auditor"))]
After = Annotated[int, Query(ge=0, le=2**62, description="the sequence of the last known message")]
STREAMS_MAX: Final = 100
STREAM_SECONDS_MAX: Final = 600.0
POLL_SECONDS: Final = 0.5
PULSE_SECONDS: Final = 15.0
_open_streams: set[object] = set()


async def _need_areas(connection: asyncpg.Connection, scope: Scope, uscc: str) -> None:
    """Check that all areas that the provider serves are in the scope. Raises NotAllowed, or NotFound if unknown."""
    need_feed(scope, uscc, await store.load_areas_served(connection, uscc))


async def _read(
    connection: asyncpg.Connection, scope: Scope, uscc: str, after: int, limit: int
) -> list[store.FeedEntry]:
    """Return the messages after number `after`. Raises NotAllowed if one of them is about a task outside the scope.

    The provider may have served other areas at the time of that message.
    """
    entries = await store.list_feed(connection, uscc, after, limit)
    if entries and not sees_whole_feed(scope):
        need_feed(scope, uscc, await store.load_areas_of_tasks(connection, [entry.task_id for entry in entries]))
    return entries


@router.get("/v1/providers/{uscc}/feed")
async def feed(uscc: Uscc, db: Db, caller: Subscriber, after: After = 0, limit: Limit = 100) -> FeedOut:
    """The messages to the provider in order, without gaps, kept for 30 days. Its Kafka topic has the same ids.

    `403` if the provider serves an area outside yours, or if the page has a message about a task outside it.
    """
    scope = scope_of(caller)
    async with db.reading() as connection:
        await _need_areas(connection, scope, uscc)
        entries = await _read(connection, scope, uscc, after, limit)
    return FeedOut(events=[message_out(entry) for entry in entries], next=entries[-1].seq if entries else after)


@router.get("/v1/providers/{uscc}/stream", response_class=StreamingResponse)
async def stream(
    uscc: Uscc,
    request: Request,
    db: Db,
    caller: Subscriber,
    after: After = 0,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
) -> Response:
    """The messages of the feed as server-sent events; `id` is the sequence. Connect again with `Last-Event-ID` after
    the end.

    The stream ends after ten minutes, when the token expires, when the process stops, and at a message outside your
    area. `403` if the provider serves an area outside yours.
    """
    scope = scope_of(caller)
    async with db.reading() as connection:
        await _need_areas(connection, scope, uscc)
    if len(_open_streams) >= STREAMS_MAX:
        raise TooBusy("too many streams are open")
    start = int(last_event_id) if last_event_id else after
    return EventStream(follow(db, scope, uscc, start), closing_of(request.app), caller.expires_at)


async def follow(
    db: Database, scope: Scope, uscc: str, after: int, *, seconds_max: float = STREAM_SECONDS_MAX
) -> AsyncGenerator[bytes]:
    """The feed as server-sent events, for at most `seconds_max`. It ends at the first message outside the scope."""
    stream_key, began, sent_at = object(), monotonic(), monotonic()
    _open_streams.add(stream_key)
    try:
        while monotonic() - began < seconds_max:
            entries = await _read_if_allowed(db, scope, uscc, after)
            if entries is None:
                return
            for entry in entries:
                yield _server_sent(entry)
                after, sent_at = entry.seq, monotonic()
            if not entries:
                if monotonic() - sent_at > PULSE_SECONDS:
                    sent_at = monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(POLL_SECONDS)
    finally:
        _open_streams.discard(stream_key)


async def _read_if_allowed(db: Database, scope: Scope, uscc: str, after: int) -> list[store.FeedEntry] | None:
    """The next messages; None if one of them is outside the scope."""
    try:
        async with db.reading() as connection:
            return await _read(connection, scope, uscc, after, 100)
    except NotAllowed:
        return None


def _server_sent(entry: store.FeedEntry) -> bytes:
    name = entry.wire_type.rpartition(".")[2]
    return f"id: {entry.seq}\nevent: {name}\ndata: {message_out(entry).model_dump_json()}\n\n".encode()
