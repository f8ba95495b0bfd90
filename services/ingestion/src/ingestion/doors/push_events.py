"""The HTTP door: `POST /v1/events`, single, batch and binary."""

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

from ingestion.domain.problems import PROBLEMS
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.doors.intake import Intake
from ingestion.reading.bodies import Unreadable, need_json, need_utf8, split_batch, structured
from ingestion.reading.events import read_event
from ingestion.register import quotas
from ingestion.register.senders import check_body, sender

router = APIRouter(tags=["events"])
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
EVENTS_MAX: Final = 5_000
_BREATHE_EVERY: Final = 250
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
    """CloudEvents 1.0: one (`application/cloudevents+json`), up to 5,000 (`application/cloudevents-batch+json`, 8 MiB)
    or binary mode (`ce-*` headers, `application/json`). `accepted` means durable; a bad event never harms the others.
    """
    only_source = _only_source(caller)
    kind = _media_type(request)
    body = await request.body()
    check_body(request, body)
    try:
        raws = _events(kind, body, request)
    except Unreadable as error:
        raise _unreadable(error) from None
    if len(raws) > EVENTS_MAX:
        raise TooLarge(f"a batch holds at most {EVENTS_MAX} events", code="too_many_events")
    read = await _read(raws, only_source, request.headers.get("traceparent"))
    events = [e for e in read if isinstance(e, Pushed)]
    refused = [e for e in read if isinstance(e, Rejected)]
    await quotas.admit(request.app.state.service.database, events, Counter(e.source.urn for e in events))
    recorded = iter(await _intake(request).submit(events, refused))
    results = [
        next(recorded) if isinstance(e, Pushed) else Receipt(e.id, e.event_id, "rejected", list(e.faults)) for e in read
    ]
    return Response(msgspec.json.encode(_summed(results)), 202, media_type="application/json")


def _only_source(caller: Caller) -> str | None:
    """The one source that the caller may send for; None for an administrator, whose events name their source."""
    match scope_of(caller):
        case OwnSource(source):
            return source
        case Everything():
            return None
        case _:
            raise NotAllowed("an administrator of an area sends for no source", code="source_not_yours")


def _media_type(request: Request) -> str:
    given, _, rest = request.headers.get("content-type", "").partition(";")
    given = given.strip().lower()
    charset = rest.lower().replace('"', "").strip()
    if charset.startswith("charset=") and charset.removeprefix("charset=").split(";")[0].strip() not in (
        "utf-8",
        "utf8",
    ):
        raise WrongMediaType("JSON is sent in UTF-8")
    if given in (STRUCTURED, BATCHED):
        return given
    if given == "application/json" and "ce-specversion" in request.headers:
        return "binary"
    raise WrongMediaType(f"send {STRUCTURED}, {BATCHED}, or application/json with ce-* headers")


def _events(kind: str, body: bytes, request: Request) -> Sequence[bytes | msgspec.Raw]:
    if kind == BATCHED:
        need_utf8(body)
        if body.lstrip()[:1] not in (b"[", b""):
            raise Unreadable("not_json")
        return split_batch(body)
    need_json(body)
    if kind == STRUCTURED:
        return [body]
    headers = {k.removeprefix("ce-"): unquote(v) for k, v in request.headers.items() if k.startswith("ce-")}
    return [structured(headers, body)]


def _unreadable(error: Unreadable) -> BadRequest:
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
        if at % _BREATHE_EVERY == 0:
            await asyncio.sleep(0)  # a large batch must not hold up a death that comes alone
    return read


def _summed(results: list[Receipt]) -> Receipts:
    counts = {"accepted": 0, "duplicate": 0, "quarantined": 0, "rejected": 0}
    for receipt in results:
        counts[receipt.status] += 1
    return Receipts(
        len(results), counts["accepted"], counts["duplicate"], counts["quarantined"], counts["rejected"], results
    )


def _intake(request: Request) -> Intake:
    state = request.app.state
    found: Intake | None = getattr(state, "intake", None)
    if found is None or found.database is not state.service.database:
        found = state.intake = Intake(state.service.database)
    return found
