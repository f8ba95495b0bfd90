"""`GET /v1/places`, `POST /v1/places/{case_id}/confirm|object`: claimed places, decided by the county left."""

from typing import Annotated, Literal
from uuid import UUID

from common.codes import divisions
from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.domain.standing_state import PlaceRuling
from ingestion.recording.batch import Request
from ingestion.recording.locks import load
from ingestion.recording.recorder import decide_again
from ingestion.review.shapes import CaseState, PlaceCaseOut, PlaceDecisionOut, PlacePageOut, ReasonIn
from ingestion.review.store import place_cases as store
from ingestion.review.store.owners import list_owners

router = APIRouter(tags=["places"])
Officer = Annotated[Caller, Depends(require("officer"))]


@router.get("/v1/places", summary="Places that a source claims for a person of another county")
async def list_places(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: CaseState = "open",
    overdue: bool = False,
    group: UUID | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> PlacePageOut:
    """Audited. Cases that your area decides, including those of a group."""
    async with db.transaction() as tx:
        owners = [area for area in await list_owners(tx.sql, "place_cases", state) if caller.may_see(area)]
        at = clock.now() if overdue else None
        group_id, cursor = str(group) if group else None, str(after) if after else None
        rows = await store.list_cases(tx.sql, owners, state, at, group_id, cursor, limit)
        await audits.append(tx, caller, act="search", purpose="places", person_ids=[row.person_id for row in rows])
    page = [_out(row) for row in rows]
    return PlacePageOut(places=page, next=page[-1].case_id if len(page) == limit else None)


def _out(case: store.PlaceCase) -> PlaceCaseOut:
    return PlaceCaseOut(**case._asdict(), event_id=case.chain, division_name=divisions.name(case.division))


@router.post("/v1/places/{case_id}/confirm", summary="The person has moved there")
async def confirm_place(case_id: UUID, body: ReasonIn, caller: Officer, db: Db) -> PlaceDecisionOut:
    """Audited. The place is vouched from now on. Waiting events take effect if their sources belong to the person by
    this place."""
    async with db.transaction() as tx:
        return await decide_place(tx, str(case_id), caller, body.reason, "confirmed")


@router.post("/v1/places/{case_id}/object", summary="The person has not moved there")
async def object_to_place(case_id: UUID, body: ReasonIn, caller: Officer, db: Db) -> PlaceDecisionOut:
    """Audited. The claimed chain waits in quarantine, entitlements are decided without it, and its source is asked to
    correct it. Two officers of the next area above both counties may overrule the objection."""
    async with db.transaction() as tx:
        return await decide_place(tx, str(case_id), caller, body.reason, "objected")


async def decide_place(
    tx: Tx, case_id: str, caller: Caller, reason: str, outcome: Literal["confirmed", "objected"]
) -> PlaceDecisionOut:
    """Settle one case. Raises NotFound, NotAllowed, or Conflict if it was settled already."""
    case = await store.load_case(tx.sql, case_id)
    if case is None:
        raise NotFound("no such case of a claimed place")
    caller.need_area(case.owner)
    person_id = case.person_id
    await load(tx, {}, Request(person_ids=(person_id,)))  # locks what a decision locks, in the same order
    case = (await store.lock_open(tx, [case_id])).get(case_id)
    if case is None:
        raise Conflict("this case was settled already", code="settled")
    caller.need_area(case.owner)  # it may have been escalated meanwhile
    action = f"place_{outcome}"
    await audits.append(tx, caller, act=action, purpose=reason, cause=case_id, person_ids=[person_id])
    places = {person_id: PlaceRuling(case.chain, case.division, outcome)}
    await decide_again(tx, Request(person_ids=(person_id,), places=places, by=caller.user), clock.now())
    await store.note_decision(tx, [case_id], caller.user, reason)
    return PlaceDecisionOut(case_id=case_id, state=outcome)
