"""A provider without Kafka follows its messages over HTTP: by a cursor, or as a stream."""

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Annotated, Any, Final

from common.errors import NotAllowed, TooBusy
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from shell.access.auth import Caller, require
from shell.access.scopes import Everything, OwnProvider, Scope, scope_of
from shell.http.answers import Limit
from shell.http.params import Uscc
from shell.http.streams import EventStream, closing_of
from shell.service import Db
from shell.store.database import Database

from dispatch import store
from dispatch.feed import read_feed
from dispatch.scoping import need_feed
from dispatch.views import FeedOut, message_out

router = APIRouter(tags=["feed"])
Subscriber = Annotated[Caller, Depends(require("provider", "visitor", "auditor"))]
After = Annotated[int, Query(ge=0, le=2**62, description="the sequence of the last message already known")]
STREAMS_MAX: Final = 100
STREAM_SECONDS_MAX: Final = 600.0
LOOK_EVERY_SECONDS: Final = 0.5
PULSE_SECONDS: Final = 15.0
_open_streams: set[object] = set()


async def _need_areas(connection: Any, scope: Scope, uscc: str) -> None:
    """Raises NotAllowed or NotFound. A feed is read as a whole, so every area that its provider serves must be in the
    scope."""
    need_feed(scope, uscc, await store.areas_served(connection, uscc))


async def _read(connection: Any, scope: Scope, uscc: str, after: int, limit: int) -> list[Any]:
    """The next messages. Raises NotAllowed if one of them is about a task outside the scope: the provider may have
    served other areas when it was written."""
    rows = await read_feed(connection, uscc, after, limit)
    if rows and not _sees_all_messages(scope):
        need_feed(scope, uscc, await store.areas_of_tasks(connection, [row["task_id"] for row in rows]))
    return rows


def _sees_all_messages(scope: Scope) -> bool:
    return isinstance(scope, Everything) or (isinstance(scope, OwnProvider) and scope.division is None)


@router.get("/v1/providers/{uscc}/feed")
async def feed(uscc: Uscc, db: Db, caller: Subscriber, after: After = 0, limit: Limit = 100) -> FeedOut:
    """The same messages with the same ids as on the provider's topic, in order, without gaps; kept for 30 days."""
    scope = scope_of(caller)
    async with db.reading() as connection:
        await _need_areas(connection, scope, uscc)
        rows = await _read(connection, scope, uscc, after, limit)
    return FeedOut(events=[message_out(row) for row in rows], next=rows[-1]["seq"] if rows else after)


@router.get("/v1/providers/{uscc}/stream", response_class=StreamingResponse)
async def stream(
    uscc: Uscc,
    request: Request,
    db: Db,
    caller: Subscriber,
    after: After = 0,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
) -> Response:
    """Server-sent events; `id` is the sequence. It ends after ten minutes, with the token, when the process stops, and
    at a message outside your area: connect again with `Last-Event-ID`."""
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
    mark, began, spoke = object(), monotonic(), monotonic()
    _open_streams.add(mark)
    try:
        while monotonic() - began < seconds_max:
            try:
                async with db.reading() as connection:
                    rows = await _read(connection, scope, uscc, after, 100)
            except NotAllowed:
                return
            for row in rows:
                kind = row["wire_type"].rpartition(".")[2]
                data = message_out(row).model_dump_json()
                yield f"id: {row['seq']}\nevent: {kind}\ndata: {data}\n\n".encode()
                after, spoke = row["seq"], monotonic()
            if not rows:
                if monotonic() - spoke > PULSE_SECONDS:
                    spoke = monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        _open_streams.discard(mark)
