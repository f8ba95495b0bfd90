"""Show the live page, and stream its content as server-sent events, one message (tick) every half second."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Final

import msgspec
from common.errors import NotAllowed, TooBusy, Unauthenticated
from fastapi import APIRouter, Request
from fastapi.responses import Response
from shell import clock
from shell.access.auth import Caller
from shell.access.route_marks import needs_no_credential
from shell.http.streams import EventStream

from console.domain.chain import Step, Stop
from console.domain.meter import Meter, Station
from console.domain.names import STAGES
from console.reader import Reader
from console.session import Viewer, bearer_of, caller_of, is_over, signed_in_page, token_of, valid

STREAMS_MAX: Final = 64
STOPS_SHOWN: Final = 5
TICK_SECONDS: Final = 0.5
RETRY_MS: Final = 500
router = APIRouter(tags=["console"])
_encode = msgspec.json.Encoder().encode


def chain_stream(
    reader: Reader, token: str, is_over: Callable[[], bool] = lambda: False, renewed_at: float | None = None
) -> EventStream:
    """Return the stream of ticks for one screen. It ends when the screen leaves or is too slow, the process stops, the
    token expires, or the session `is_over`.

    `renewed_at`: the end of the use of this token, if the session gets another one. The answer ends then, and the
    browser connects again. In seconds since 1970, real time.
    """
    return EventStream(_ticks(reader, token, is_over), reader.closing, expires_at=renewed_at)


async def _ticks(reader: Reader, token: str, is_over: Callable[[], bool]) -> AsyncGenerator[bytes]:
    """Yield one message per TICK_SECONDS, and the message `ended` when the token or the session is no longer valid.

    It keeps a position in the chain and no queue.
    """
    seq = 0
    reader.watchers += 1
    reader.watched.set()
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while True:
            try:
                caller = await caller_of(token)
                if is_over():
                    raise Unauthenticated("the session is over")
            except (Unauthenticated, NotAllowed):
                yield b"event: ended\ndata: {}\n\n"
                return
            steps = reader.chain.since(seq, caller.may_see)
            seq = reader.chain.seq
            yield b"data: " + _encode(tick(reader, caller, steps)) + b"\n\n"
            await asyncio.sleep(TICK_SECONDS)
    finally:
        reader.watchers -= 1


def tick(reader: Reader, caller: Caller, steps: list[Step]) -> dict[str, object]:
    """Return one message: the business time, the stations, the latest deaths, and `steps`."""
    stops = reader.chain.stops(caller.may_see)
    return {
        "now": clock.now(),
        "trouble": reader.trouble,
        "stations": stations_out(reader.meter),
        "deaths": len(stops),
        "stops": [_stop_out(stop) for stop in stops[:STOPS_SHOWN]],
        "steps": [step_out(step) for step in steps],
    }


def _stop_out(stop: Stop) -> dict[str, object]:
    passed_ms = round((stop.stopped_at - stop.known_at).total_seconds() * 1000)
    return {"person_id": stop.person_id, "at": stop.stopped_at, "passed_ms": passed_ms}


def stations_out(meter: Meter) -> list[dict[str, object]]:
    return [_station_out(stage.id, meter.stations[stage.id]) for stage in STAGES]


def _station_out(stage_id: str, station: Station) -> dict[str, object]:
    return {
        "id": stage_id,
        "total": station.total,
        "per_second": round(station.per_second, 1),
        "waiting": station.waiting,
        "history": list(station.history),
    }


def step_out(step: Step) -> dict[str, object]:
    return {
        "at": step.at,
        "stage": step.stage,
        "what": step.what,
        "text": step.text,
        "tone": step.tone,
        "event_id": step.event_id,
        "correlation_id": step.correlation_id,
        "person_id": step.person_id,
    }


@router.get("/", include_in_schema=False)
@needs_no_credential
async def show_chain(request: Request) -> Response:
    """The live page."""
    return await signed_in_page(request, "chain.html")


@router.get("/api/stream", include_in_schema=False)
async def stream(request: Request, caller: Viewer) -> Response:
    reader: Reader = request.app.state.reader
    if reader.watchers >= STREAMS_MAX:
        raise TooBusy("too many screens are open; try again later")
    if bearer_of(request) is not None:
        return chain_stream(reader, await token_of(request))
    session = await valid(request)
    renewed_at = session.tokens.used_until if session.tokens.refresh_token else None
    return chain_stream(reader, session.tokens.access_token, partial(is_over, request, session), renewed_at)
