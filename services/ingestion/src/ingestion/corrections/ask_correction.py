"""Routes with which officers ask a source to correct an event, list such requests and withdraw them.

`POST /v1/corrections`, `GET /v1/corrections`, `POST /v1/corrections/{correction_id}/withdraw`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from common.errors import Conflict, NotFound
from common.events import CorrectionAnswered
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.idempotency import Creates
from shell.privacy import vault
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.corrections import store
from ingestion.corrections.shapes import CorrectionIn, CorrectionOut, CorrectionPageOut, WithdrawalIn
from ingestion.domain.problems import CORRECTIONS, PROBLEMS, QUARANTINE, pointer_of
from ingestion.reading.events import id_and_source, reopen
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.store import rejections, statements
from ingestion.register.senders import sender
from ingestion.register.sources import registered, versions_seen

router = APIRouter(tags=["corrections"])
Officer = Annotated[Caller, Depends(require("officer"))]


@router.post("/v1/corrections", status_code=201, summary="Ask a source to correct an event")
async def ask_correction(body: CorrectionIn, caller: Officer, db: Db, creation: Creates) -> CorrectionOut:
    """Audited. An event has one open request: a second call returns it, and so does the same `Idempotency-Key`. The
    request closes by itself when the source corrects, annuls or ends the event. It also closes when a waiting event is
    settled or a rejected event is accepted."""
    event_id, now = str(body.event_id), clock.now()
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, body)
        if made_before is not None:
            return _shown(await _lock(tx, caller, made_before))
        correction_id = creation.id_for("correction", caller, event_id, otherwise=now.isoformat())
        request = await _ask_once(tx, caller, body, correction_id, now)
        await creation.created(tx, caller, request.correction_id)
        return _shown(request)


@router.get("/v1/corrections", summary="List correction requests to sources")
async def list_corrections(
    caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))],
    db: Db,
    state: Literal["open", "answered", "withdrawn"] = "open",
    overdue: bool = False,
    limit: Limit = 100,
    after: UUID | None = None,
) -> CorrectionPageOut:
    """Requests to the sources of your area. A source sees its own, with its own event ids."""
    seen = list(versions_seen(caller))
    overdue_at = clock.now() if overdue else None
    async with db.reading() as connection:
        requests = await store.list_requests(connection, seen, state, overdue_at, str(after) if after else None, limit)
        ids = await _own_ids(connection, requests) if caller.role == "source" else {}
    page = [_shown(request, ids.get(request.event_id)) for request in requests]
    return CorrectionPageOut(corrections=page, next=page[-1].correction_id if len(page) == limit else None)


@router.post("/v1/corrections/{correction_id}/withdraw", summary="Withdraw a correction request")
async def withdraw(correction_id: UUID, body: WithdrawalIn, caller: Officer, db: Db) -> CorrectionOut:
    """Audited. The source receives `CorrectionAnswered`."""
    now = clock.now()
    async with db.transaction() as tx:
        request = await _lock(tx, caller, str(correction_id))
        if request.state != "open":
            raise Conflict(f"the request is {request.state} already", code="settled")
        await store.settle(tx, [store.Settled(request.correction_id, "withdrawn", None)], now)
        tx.emit(_withdrawn(request, now), request.event_id)
        await _audit(tx, caller, "withdraw_correction", body.reason, request.event_id)
        return _shown(await _lock(tx, caller, request.correction_id))


async def _ask_once(tx: Tx, caller: Caller, body: CorrectionIn, correction_id: str, now: datetime) -> store.Request:
    """Return the open request about this event; create it if there is none."""
    event_id = str(body.event_id)
    asked = await _find(tx.sql, event_id, body)
    caller.need_area(registered()[asked.source].area)
    if await ask(tx, [asked], "officer", caller.user, now, correction_id=correction_id):
        await _audit(tx, caller, "ask_correction", body.reason, event_id)
    return await _load_open(tx, event_id)


async def _audit(tx: Tx, caller: Caller, action: str, reason: str, event_id: str) -> None:
    await audits.append(tx, caller, act=action, purpose=reason, cause=event_id)


def _withdrawn(request: store.Request, now: datetime) -> CorrectionAnswered:
    return CorrectionAnswered(
        correction_id=request.correction_id,
        source=request.source,
        event_id=request.event_id,
        outcome="withdrawn",
        answered_at=now,
    )


async def _find(connection: Any, event_id: str, body: CorrectionIn) -> Asked:
    """Build the request about this event from its present state.

    Raises NotFound, and Conflict for an event that officers have discarded or its source has withdrawn."""
    event = await store.find_event(connection, event_id)
    if event is None:
        return await _find_rejected(connection, event_id, body)
    if event.waits_because is not None:
        pointer = pointer_of(event.waits_because)
        return Asked(event_id, event.source, event.kind, "waiting", event.waits_because, pointer, body.reason)
    if event.status == "parked":
        raise Conflict("this event was discarded by officers or withdrawn by its source", code="settled")
    return Asked(event_id, event.source, event.kind, "applied", body.code, body.pointer, body.reason)


async def _find_rejected(connection: Any, event_id: str, body: CorrectionIn) -> Asked:
    rejection = await store.find_rejection(connection, event_id)
    if rejection is None:
        raise NotFound("no such event")
    first = msgspec.json.decode(rejection.problems)[0]
    return Asked(event_id, rejection.source, None, "rejected", first["code"], first["pointer"], body.reason)


async def _lock(tx: Tx, caller: Caller, correction_id: str) -> store.Request:
    """Lock and return a request. Raises NotFound, and NotAllowed for a source outside the caller's area."""
    request = await store.lock_request(tx, correction_id)
    if request is None:
        raise NotFound("no such correction")
    caller.need_area(request.area)
    return request


async def _load_open(tx: Tx, event_id: str) -> store.Request:
    request = await store.load_open(tx.sql, event_id)
    if request is None:
        raise Conflict("the open request was closed at the same time", code="settled")
    return request


async def _own_ids(connection: Any, requests: Sequence[store.Request]) -> dict[str, str]:
    """The source's own id of each event, by event id. A rejected event of which no id can be read is left out."""
    event_ids = [request.event_id for request in requests]
    found: dict[str, str] = {}
    for rejected in await rejections.load_bodies(connection, event_ids):
        own_id, _ = id_and_source(vault().open(rejected.sealed, rejected.rejection_id.encode()))
        if own_id is not None:
            found[rejected.event_id] = own_id
    for event_id, sealed in (await statements.load_sealed(connection, event_ids)).items():
        found[event_id] = reopen(vault().open(sealed, event_id.encode())).id
    return found


def _shown(request: store.Request, own_id: str | None = None) -> CorrectionOut:
    code_text = (CORRECTIONS | PROBLEMS | QUARANTINE)[request.code][1]
    fields = {name: value for name, value in request._asdict().items() if name in CorrectionOut.model_fields}
    return CorrectionOut(**fields, id=own_id, code_text=code_text)
