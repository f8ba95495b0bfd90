"""`GET /v1/places`, `POST /v1/places/{case_id}/confirm|object`: claimed places, decided by the county left."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from common.codes import divisions
from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller, require
from shell.http import params
from shell.http.answers import Limit
from shell.http.params import Body
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store as audits
from ingestion.domain.memory import Decided
from ingestion.recording.batch import Request, load
from ingestion.recording.core import decide_again
from ingestion.review.store import place_cases as store

router = APIRouter(tags=["places"])
CaseState = Literal["open", "confirmed", "objected", "silent", "vouched", "withdrawn"]
Officer = Annotated[Caller, Depends(require("officer"))]


class PlaceCase(BaseModel):
    """A place that `source` claims for a person.

    `event_id`: the first event of the claimed chain. `county_left`: the county that is asked; `owner`: the area whose
    officers answer for the case now. `silent_on`: from this day on, silence vouches for the place. `state`: `vouched`
    by other facts, or `withdrawn` by its source, also without an officer."""

    case_id: str
    person_id: str
    event_id: str
    source: str
    kind: str
    division: str
    division_name: str | None
    county_left: str
    owner: str
    group_id: str | None
    state: CaseState
    since: datetime
    deadline: datetime
    silent_on: date
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class PlacePage(BaseModel):
    places: list[PlaceCase]
    next: str | None


class Reason(Body):
    reason: params.Reason


class PlaceDecision(BaseModel):
    case_id: str
    state: CaseState


@router.get("/v1/places", summary="Places that a source claims for a person of another county")
async def list_places(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: CaseState = "open",
    overdue: bool = False,
    group: UUID | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> PlacePage:
    """Cases that your area answers for, also those that belong to a group."""
    async with db.reading() as connection:
        owners = [area for area in await store.list_owners(connection, state) if caller.may_see(area)]
        at = clock.now() if overdue else None
        group_id, cursor = str(group) if group else None, str(after) if after else None
        rows = await store.list_cases(connection, owners, state, at, group_id, cursor, limit)
    page = [_shown(row) for row in rows]
    return PlacePage(places=page, next=page[-1].case_id if len(page) == limit else None)


def _shown(row: Any) -> PlaceCase:
    return PlaceCase(**row, event_id=row["chain"], division_name=divisions.name(row["division"]))


@router.post("/v1/places/{case_id}/confirm", summary="The person has moved there")
async def confirm_place(case_id: UUID, body: Reason, caller: Officer, db: Db) -> PlaceDecision:
    """Audited. The place is vouched from now on, and with it every event that its sources have sent meanwhile."""
    async with db.transaction() as tx:
        return await decide_place(tx, str(case_id), caller, body.reason, "confirmed")


@router.post("/v1/places/{case_id}/object", summary="The person has not moved there")
async def object_to_place(case_id: UUID, body: Reason, caller: Officer, db: Db) -> PlaceDecision:
    """Audited. The claimed chain waits in quarantine, lists are decided without it, and the source is asked to correct
    it. Two officers of the next area above both counties may overrule the objection."""
    async with db.transaction() as tx:
        return await decide_place(tx, str(case_id), caller, body.reason, "objected")


async def decide_place(
    tx: Tx, case_id: str, caller: Caller, reason: str, outcome: Literal["confirmed", "objected"]
) -> PlaceDecision:
    """Settle one case. Raises NotFound, NotAllowed, or Conflict if it was settled already."""
    case = await store.load_case(tx.sql, case_id)
    if case is None:
        raise NotFound("no such case of a claimed place")
    caller.need_area(case["owner"])
    person_id = case["person_id"]
    await load(tx, {}, Request(person_ids=(person_id,)))  # the locks in the order in which recording takes them
    case = (await store.lock_open(tx, [case_id])).get(case_id)
    if case is None:
        raise Conflict("this case was settled already", code="settled")
    caller.need_area(case["owner"])  # it may have been escalated meanwhile
    await audits.append_audit(
        tx,
        caller,
        clock.real_now(),
        action=f"place_{outcome}",
        purpose=reason,
        cause=case_id,
        person_ids=[person_id],
    )
    places = {person_id: Decided(case["chain"], case["division"], outcome)}
    await decide_again(tx, Request(person_ids=(person_id,), places=places, by=caller.subject), clock.now())
    await store.note_decision(tx, [case_id], caller.subject, reason)
    return PlaceDecision(case_id=case_id, state=outcome)
