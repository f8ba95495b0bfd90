"""The HTTP channel: `POST /v1/events`, as a single event, a batch or in binary mode."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import unquote

import msgspec
from common.errors import BadRequest, NotAllowed, Problem, TooLarge, WrongMediaType
from common.events.population import population_schemas
from fastapi import APIRouter, Depends, Request, Response
from shell import clock
from shell.access.auth import Caller
from shell.access.route_marks import limits_body
from shell.access.scopes import Everything, OwnSource, scope_of

from ingestion.channels.intake import Intake
from ingestion.domain.problems import PROBLEMS
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.reading.bodies import Unreadable, need_json, need_utf8, split_batch, structured
from ingestion.reading.events import read_event
from ingestion.register import quotas
from ingestion.register.senders import check_body, sender

router = APIRouter(tags=["events"])
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
EVENTS_MAX: Final = 5_000
_YIELD_EVERY: Final = 250
_UTF8: Final = ("utf-8", "utf8")
STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"


@dataclass(slots=True)
class Receipts:
    """`received` = `accepted` + `duplicates` + `quarantined` + `rejected`; `results` in the order of the events."""

    received: int
    accepted: int
    duplicates: int
    quarantined: int
    rejected: int
    results: list[Receipt]


def _contents() -> dict[str, Any]:
    """The schemas of the request body by media type, as in OpenAPI."""
    event: dict[str, Any] = {"oneOf": [{"title": s["title"], "type": "object"} for s in population_schemas().values()]}
    batch = {"type": "array", "maxItems": EVENTS_MAX, "items": event}
    return {
        STRUCTURED: {"schema": event},
        BATCHED: {"schema": batch},
        "application/json": {"schema": {"type": "object"}},
    }


@router.post(
    "/v1/events",
    status_code=202,
    summary="Push population events",
    response_model=Receipts,
    openapi_extra={"requestBody": {"required": True, "content": _contents()}},
)
@limits_body(BODY_BYTES_MAX)
async def push_events(request: Request, caller: Annotated[Caller, Depends(sender("source"))]) -> Response:
    """CloudEvents 1.0: one event (`application/cloudevents+json`), up to 5,000 events in 8 MiB
    (`application/cloudevents-batch+json`), or binary mode (`ce-*` headers, `application/json`). `accepted` means
    durable. A rejected event does not affect the others."""
    only_source = _only_source(caller)
    raws = await _raw_events(request)
    read = await _read(raws, only_source, request.headers.get("traceparent"))
    results = await _record(request, read)
    return Response(msgspec.json.encode(_summed(results)), 202, media_type="application/json")


def _only_source(caller: Caller) -> str | None:
    """The only source that the caller may send for. None for an administrator of everything: each event names its
    source. Raises NotAllowed for an administrator of an area."""
    match scope_of(caller):
        case OwnSource(source):
            return source
        case Everything():
            return None
        case _:
            raise NotAllowed("an administrator of an area sends for no source", code="source_not_yours")


# ── the body ────────────────────────────────────────────────────────────────────────────────────────────────


async def _raw_events(request: Request) -> Sequence[bytes | msgspec.Raw]:
    """The events of the body, not parsed yet. Raises WrongMediaType, Unauthenticated, BadRequest, TooLarge."""
    mode = _mode(request)
    body = await request.body()
    check_body(request, body)
    try:
        raws = _split(mode, body, request)
    except Unreadable as error:
        raise _bad_request(error) from None
    if len(raws) > EVENTS_MAX:
        raise TooLarge(f"a batch holds at most {EVENTS_MAX} events", code="too_many_events")
    return raws


def _mode(request: Request) -> str:
    """STRUCTURED, BATCHED or `binary`. Raises WrongMediaType."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    _need_utf8_charset(parameters)
    if media_type in (STRUCTURED, BATCHED):
        return media_type
    if media_type == "application/json" and "ce-specversion" in request.headers:
        return "binary"
    raise WrongMediaType(f"send {STRUCTURED}, {BATCHED}, or application/json with ce-* headers")


def _need_utf8_charset(parameters: str) -> None:
    name, _, value = parameters.lower().replace('"', "").strip().partition("=")
    if name == "charset" and value.split(";")[0].strip() not in _UTF8:
        raise WrongMediaType("JSON is sent in UTF-8")


def _split(mode: str, body: bytes, request: Request) -> Sequence[bytes | msgspec.Raw]:
    if mode == BATCHED:
        need_utf8(body)
        if body.lstrip()[:1] not in (b"[", b""):
            raise Unreadable("not_json")
        return split_batch(body)
    need_json(body)
    return [body] if mode == STRUCTURED else [structured(_attributes(request), body)]


def _attributes(request: Request) -> dict[str, str]:
    """The attributes of an event in binary mode."""
    headers = request.headers.items()
    return {name.removeprefix("ce-"): unquote(value) for name, value in headers if name.startswith("ce-")}


def _bad_request(error: Unreadable) -> BadRequest:
    detail = PROBLEMS[error.code][0]
    extra = {} if error.offset is None else {"offset": error.offset}
    return BadRequest(
        f"the body cannot be read: {detail}",
        code=error.code,
        problems=[Problem(pointer="", code=error.code, detail=detail)],
        **extra,
    )


async def _read(
    raws: Sequence[bytes | msgspec.Raw], only_source: str | None, traceparent: str | None
) -> list[Pushed | Rejected]:
    now = clock.now()
    read = []
    for at, raw in enumerate(raws, 1):
        read.append(read_event(raw, now, only_source=only_source, traceparent=traceparent))
        if at % _YIELD_EVERY == 0:
            await asyncio.sleep(0)  # a large batch must not delay the request of a single death
    return read


# ── recording ───────────────────────────────────────────────────────────────────────────────────────────────


async def _record(request: Request, read: Sequence[Pushed | Rejected]) -> list[Receipt]:
    """Record the events; return their receipts in order. Raises TooBusy if a source is over its quota or the queue is
    full."""
    events = [event for event in read if isinstance(event, Pushed)]
    rejected = [event for event in read if isinstance(event, Rejected)]
    sent = Counter(event.source.urn for event in events)
    await quotas.admit(request.app.state.service.database, events, sent)
    recorded = iter(await _intake(request).submit(events, rejected))
    return [next(recorded) if isinstance(event, Pushed) else _rejected(event) for event in read]


def _intake(request: Request) -> Intake:
    state = request.app.state
    found: Intake | None = getattr(state, "intake", None)
    if found is None or found.database is not state.service.database:
        found = state.intake = Intake(state.service.database)
    return found


def _rejected(event: Rejected) -> Receipt:
    return Receipt(event.id, event.event_id, "rejected", list(event.faults))


def _summed(results: list[Receipt]) -> Receipts:
    counts = Counter(receipt.status for receipt in results)
    return Receipts(
        len(results), counts["accepted"], counts["duplicate"], counts["quarantined"], counts["rejected"], results
    )
