"""The live page's feed: server-sent events, one second of the chain at a time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec
from common.errors import NotAllowed, TooBusy, Unauthenticated
from fastapi import APIRouter, Request
from fastapi.responses import Response
from shell import clock
from shell.access.auth import Caller
from shell.http.streams import EventStream

from console.chain import Step, Stop
from console.meter import Meter
from console.names import STAGES
from console.reader import Reader
from console.session import Viewer, caller_of, token_of

STREAMS_MAX: Final = 64
STOPS_SHOWN: Final = 5
TICK_SECONDS: Final = 0.5
router = APIRouter(tags=["console"])
_encode = msgspec.json.Encoder().encode


def chain_stream(reader: Reader, token: str) -> EventStream:
    """Ticks until the reader is gone or too slow, the process stops, or the token ends, which the page is told."""
    return EventStream(_ticks(reader, token), reader.closing, expires_at=None)


async def _ticks(reader: Reader, token: str) -> AsyncGenerator[bytes]:
    """One message per TICK_SECONDS. It remembers a place in the chain and keeps no queue."""
    seq = 0
    reader.watchers += 1
    reader.watched.set()
    try:
        while True:
            try:
                caller = caller_of(token)
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
    """What one message says: the stations, new steps oldest first, stops, the business time."""
    stops = reader.chain.stops(caller.may_see)
    return {
        "now": clock.now(),
        "trouble": reader.trouble,
        "stations": stations(reader.meter),
        "deaths": len(stops),
        "stops": [_stop(stop) for stop in stops[:STOPS_SHOWN]],
        "steps": [shown(step) for step in steps],
    }


def _stop(stop: Stop) -> dict[str, object]:
    passed_ms = round((stop.stopped_at - stop.known_at).total_seconds() * 1000)
    return {"person_id": stop.person_id, "at": stop.stopped_at, "passed_ms": passed_ms}


def stations(meter: Meter) -> list[dict[str, object]]:
    return [
        {
            "id": stage.id,
            "total": meter.stations[stage.id].total,
            "per_second": round(meter.stations[stage.id].per_second, 1),
            "waiting": meter.stations[stage.id].waiting,
            "history": list(meter.stations[stage.id].history),
        }
        for stage in STAGES
    ]


def shown(step: Step) -> dict[str, object]:
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


@router.get("/api/stream", include_in_schema=False)
async def stream(request: Request, caller: Viewer) -> Response:
    reader: Reader = request.app.state.reader
    if reader.watchers >= STREAMS_MAX:
        raise TooBusy("too many screens look on; try again later")
    return chain_stream(reader, token_of(request))
