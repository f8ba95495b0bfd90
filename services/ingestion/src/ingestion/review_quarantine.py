"""`GET /v1/quarantine`, `POST /v1/quarantine/{event_id}/release|discard`."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from common import clock
from common.auth import Caller, require
from common.codes import divisions
from common.errors import Conflict, NotFound
from common.http import Limit
from common.service import Db
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from ingestion.problems import QUARANTINE
from ingestion.recording import release_by_hand
from ingestion.sources import registered
from ingestion.store import review

router = APIRouter(tags=["quarantine"])
RELEASABLE: Final = frozenset({"predecessor_missing", "registered_elsewhere", "certificate_of_another"})
Officer = Annotated[Caller, Depends(require("officer"))]


class Quarantined(BaseModel):
    """An event that waits. `waits_for`: the event it follows; `owner`: the area whose officers answer for it."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    reason_text: str
    waits_for: str | None
    owner: str
    state: str
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class QuarantinePage(BaseModel):
    quarantine: list[Quarantined]
    next: str | None


class Decision(BaseModel):
    reason: str = Field(min_length=1, max_length=500)


class Settled(BaseModel):
    event_id: str
    state: str


@router.get("/v1/quarantine", summary="Events that wait for a human or for another event")
async def list_quarantine(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: Literal["open", "released", "discarded"] = "open",
    overdue: bool = False,
    limit: Limit = 100,
    after: UUID | None = None,
) -> QuarantinePage:
    """Of your area, in the order of event ids."""
    owners = [area for area in _owners() if caller.may_see(area)]
    cursor = str(after) if after else None
    async with db.reading() as connection:
        at = clock.now() if overdue else None
        rows = await review.list_quarantine(connection, owners, state, at, cursor, limit)
    page = [_shown(row) for row in rows]
    return QuarantinePage(quarantine=page, next=page[-1].event_id if len(page) == limit else None)


def _owners() -> set[str]:
    areas = {source.area for source in registered().values()}
    return areas | {above for area in areas for above in divisions.ancestors(area)}


def _shown(row: Any) -> Quarantined:
    return Quarantined(**dict(row), reason_text=QUARANTINE[row["reason"]][1])


@router.post("/v1/quarantine/{event_id}/release", summary="Let it take effect all the same")
async def release(event_id: UUID, body: Decision, caller: Officer, db: Db) -> Settled:
    """Audited. Not possible where the event says nothing without its predecessor, or follows one about somebody
    else: then it can only be discarded."""
    key, now = str(event_id), clock.now()
    async with db.transaction() as tx:
        row = await _open_row(tx.sql, key, caller)
        if row["reason"] not in RELEASABLE or row["kind"] == "household":
            raise Conflict("this event cannot stand without the one it follows", code="not_releasable")
        if not await release_by_hand(tx, key, row["person_id"], caller.subject, now):
            raise Conflict("the event it follows waits too: release that one first", code="not_releasable")
        await review.note_release(tx, key, body.reason)
        await _audit(tx, caller, "release", row, body.reason)
    return Settled(event_id=key, state="released")


@router.post("/v1/quarantine/{event_id}/discard", summary="Never apply it")
async def discard(event_id: UUID, body: Decision, caller: Officer, db: Db) -> Settled:
    """Audited. The event stays sealed and counted as parked; nothing is lost."""
    key = str(event_id)
    async with db.transaction() as tx:
        row = await _open_row(tx.sql, key, caller)
        if not await review.discard(tx, key, clock.now(), caller.subject, body.reason):
            raise Conflict("it was settled meanwhile", code="settled")
        await _audit(tx, caller, "discard", row, body.reason)
    return Settled(event_id=key, state="discarded")


async def _open_row(connection: Any, event_id: str, caller: Caller) -> Any:
    row = await review.load_quarantined(connection, event_id)
    if row is None:
        raise NotFound("nothing in quarantine has this id")
    caller.need_area(row["owner"])
    if row["state"] != "open":
        raise Conflict(f"it was {row['state']} already", code="settled")
    return row


async def _audit(tx: Any, caller: Caller, action: str, row: Any, reason: str) -> None:
    await review.append_audit(
        tx,
        caller,
        clock.real_now(),
        action=f"quarantine_{action}",
        purpose=reason,
        cause=row["event_id"],
        person_ids=[row["person_id"]],
    )
