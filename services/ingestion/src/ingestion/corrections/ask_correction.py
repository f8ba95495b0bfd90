"""`POST /v1/corrections`, `GET /v1/corrections`, `POST /v1/corrections/{correction_id}/withdraw`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from common.errors import Conflict, NotFound
from common.events import CorrectionAnswered
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.idempotency import Creates
from shell.http.params import Body, Id, Reason
from shell.privacy import vault
from shell.service import Db

from ingestion.audits import store as audits
from ingestion.domain.problems import CORRECTIONS, PROBLEMS, QUARANTINE
from ingestion.reading.events import reopen
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.store import corrections as store
from ingestion.recording.store import statements
from ingestion.register.senders import sender
from ingestion.register.sources import registered, versions_seen

router = APIRouter(tags=["corrections"])
Officer = Annotated[Caller, Depends(require("officer"))]


class Ask(Body):
    """`event_id`: of an event that was recorded, waits or was refused. `code` and `pointer`: what is doubtful in a
    recorded one; of the others they are known. `reason`: in words; it goes to the source, not onto a topic."""

    event_id: Id
    code: Literal["doubted", "contradicted", "outdated"] = "doubted"
    pointer: str = Field(default="/data/value", max_length=200, pattern="^(/[A-Za-z0-9_]+)*$")
    reason: Reason


class Correction(BaseModel):
    """`id`: the source's own id of the event, shown to the source alone. `answered_by`: the event that put it right."""

    correction_id: str
    source: str
    event_id: str
    id: str | None = None
    kind: str | None
    code: str
    code_text: str
    pointer: str
    reason: str
    rule: str
    asked_at: datetime
    deadline: datetime
    state: Literal["open", "answered", "withdrawn"]
    answered_at: datetime | None
    answered_by: str | None


class CorrectionPage(BaseModel):
    corrections: list[Correction]
    next: str | None


class Withdrawal(Body):
    reason: Reason


@router.post("/v1/corrections", status_code=201, summary="Ask a source to put an event right")
async def ask_correction(body: Ask, caller: Officer, db: Db, creation: Creates) -> Correction:
    """Audited. Asked again while it is open, or with the same `Idempotency-Key`, it is the same request. It closes by
    itself when the source corrects, annuls or ends the event, when a waiting event is settled, and when a rejected one
    is sent in order."""
    event_id, now = str(body.event_id), clock.now()
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, body)
        if made_before is not None:
            row = await store.lock_correction(tx, made_before)
            assert row is not None
            caller.need_area(row.area)
            return _shown(row)
        asked = await _find(tx.sql, event_id, body)
        caller.need_area(registered()[asked.source].area)
        correction_id = creation.id_for("correction", caller, event_id, otherwise=now.isoformat())
        if await ask(tx, [asked], "officer", caller.subject, now, correction_id=correction_id):
            await audits.append_audit(
                tx, caller, clock.real_now(), action="ask_correction", purpose=body.reason, cause=event_id
            )
        row = await store.load_open_of(tx.sql, event_id)
        await creation.created(tx, caller, row.correction_id)
        return _shown(row)


async def _find(connection: Any, event_id: str, body: Ask) -> Asked:
    row = await store.find_event(connection, event_id)
    if row is not None:
        if row.reason is not None:
            return Asked(event_id, row.source, row.kind, "waiting", row.reason, "/data/previous_event_id", body.reason)
        if row.status == "parked":
            raise Conflict("this event was discarded", code="settled")
        return Asked(event_id, row.source, row.kind, "applied", body.code, body.pointer, body.reason)
    refused = await store.find_rejection(connection, event_id)
    if refused is None:
        raise NotFound("no such event")
    first = msgspec.json.decode(refused.problems)[0]
    return Asked(event_id, refused.source, None, "rejected", first["code"], first["pointer"], body.reason)


@router.get("/v1/corrections", summary="What sources were asked to put right")
async def list_corrections(
    caller: Annotated[Caller, Depends(sender("source", "officer", "auditor"))],
    db: Db,
    state: Literal["open", "answered", "withdrawn"] = "open",
    overdue: bool = False,
    limit: Limit = 100,
    after: UUID | None = None,
) -> CorrectionPage:
    """Of the sources of your area; a source sees its own, with the ids it gave itself."""
    seen = list(versions_seen(caller))
    async with db.reading() as connection:
        at = clock.now() if overdue else None
        rows = await store.list_corrections(connection, seen, state, at, str(after) if after else None, limit)
        ids = await _own_ids(connection, rows) if caller.role == "source" else {}
    page = [_shown(row, ids.get(row.event_id)) for row in rows]
    return CorrectionPage(corrections=page, next=page[-1].correction_id if len(page) == limit else None)


async def _own_ids(connection: Any, rows: Sequence[store.Correction]) -> dict[str, str]:
    sealed = await statements.load_sealed(connection, [row.event_id for row in rows])
    return {event_id: reopen(vault().open(kept, event_id.encode())).id for event_id, kept in sealed.items()}


def _shown(row: store.Correction, id_: str | None = None) -> Correction:
    fields = {name: getattr(row, name) for name in Correction.model_fields if name not in ("id", "code_text")}
    return Correction(**fields, id=id_, code_text=(CORRECTIONS | PROBLEMS | QUARANTINE)[row.code][1])


@router.post("/v1/corrections/{correction_id}/withdraw", summary="Ask no more")
async def withdraw(correction_id: UUID, body: Withdrawal, caller: Officer, db: Db) -> Correction:
    """Audited; the source is told."""
    now = clock.now()
    async with db.transaction() as tx:
        row = await store.lock_correction(tx, str(correction_id))
        if row is None:
            raise NotFound("no such correction")
        caller.need_area(row.area)
        if row.state != "open":
            raise Conflict(f"it was {row.state} already", code="settled")
        await store.settle(tx, [(row.correction_id, "withdrawn", None)], now)
        tx.emit(
            CorrectionAnswered(
                correction_id=row.correction_id,
                source=row.source,
                event_id=row.event_id,
                outcome="withdrawn",
                answered_at=now,
            ),
            row.event_id,
        )
        await audits.append_audit(
            tx, caller, clock.real_now(), action="withdraw_correction", purpose=body.reason, cause=row.event_id
        )
        withdrawn = await store.lock_correction(tx, row.correction_id)
        assert withdrawn is not None
        return _shown(withdrawn)
