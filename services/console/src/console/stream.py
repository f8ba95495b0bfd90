"""The live page's feed: server-sent events, one second of the chain at a time."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
from common import clock
from common.auth import Caller
from common.errors import NotAllowed, TooBusy, Unauthenticated
from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.chain import Step, Stop
from console.meter import Meter
from console.names import STAGES
from console.reader import Reader
from console.session import caller_of, token_of, viewer

STREAMS_MAX: Final = 64
STOPS_SHOWN: Final = 5
TICK_SECONDS: Final = 0.5
SEND_SECONDS_MAX: Final = 10.0  # who reads slower than this is dropped and comes back by itself
router = APIRouter(tags=["console"])
_encode = msgspec.json.Encoder().encode


class ChainStream(Response):
    """Ticks until the reader goes, is too slow, or its token ends. Keeps a place in the chain, no queue."""

    media_type = "text/event-stream"

    def __init__(self, reader: Reader, token: str) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._reader = reader
        self._token = token

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        headers = [(k, v) for k, v in self.raw_headers if k != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self._reader.watchers += 1
        self._reader.watched.set()
        gone = asyncio.create_task(_until_gone(receive))
        closing = asyncio.create_task(self._reader.closing.wait())
        try:
            await self._tick(send, gone, closing)
        except (TimeoutError, OSError):
            return  # too slow, or gone: nothing more can be said to this one
        finally:
            self._reader.watchers -= 1
            gone.cancel()
            closing.cancel()

    async def _tick(self, send: Any, gone: asyncio.Task[None], closing: asyncio.Task[Any]) -> None:
        seq = 0
        while not gone.done() and not closing.done():
            try:
                caller = caller_of(self._token)
            except (Unauthenticated, NotAllowed):
                await _say(send, b"event: ended\ndata: {}\n\n")
                break
            steps = self._reader.chain.since(seq, caller.may_see)
            seq = self._reader.chain.seq
            body = _encode(tick(self._reader, caller, steps))
            await _say(send, b"data: " + body + b"\n\n")
            await asyncio.wait([gone, closing], timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not gone.done():
            await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), SEND_SECONDS_MAX)


async def _say(send: Any, body: bytes) -> None:
    await asyncio.wait_for(send({"type": "http.response.body", "body": body, "more_body": True}), SEND_SECONDS_MAX)


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
async def stream(request: Request) -> Response:
    viewer(request)
    reader: Reader = request.app.state.reader
    if reader.watchers >= STREAMS_MAX:
        raise TooBusy("too many screens look on; try again later")
    return ChainStream(reader, token_of(request))
