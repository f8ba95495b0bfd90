"""`GET /v1/quarantine`, `POST /v1/quarantine/{event_id}/release|discard`."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from common.errors import Conflict, Malformed, NotFound, Problem
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Body, Id, Reason
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store as audits
from ingestion.domain.memory import Decided, Grant
from ingestion.domain.problems import QUARANTINE
from ingestion.people.views import facts_of
from ingestion.recording.batch import Request, load, open_kept
from ingestion.recording.cases import RULE_REASONS
from ingestion.recording.core import decide_again
from ingestion.recording.store import statements as store
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered
from ingestion.review.store import quarantine as review

router = APIRouter(tags=["quarantine"])
GRANT_DAYS_MAX: Final = 366
_FORCED: Final = frozenset({"predecessor_missing", "predecessor_discarded", "certificate_of_another"})
RELEASABLE: Final = _FORCED | RULE_REASONS
Officer = Annotated[Caller, Depends(require("officer"))]


class Quarantined(BaseModel):
    """An event that waits, or the part of one household member (`part_of` the list's event).

    `waits_for`: the event it follows; `owner`: the area whose officers answer for it. `officers_needed`: how many must
    agree on a release; `first_outcome`: what the first of them has decided. `signs_of_life`: `alive` events of the same
    person that wait, too, beside a death."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    reason_text: str
    waits_for: str | None
    part_of: str | None
    group_id: str | None
    owner: str
    state: str
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None
    officers_needed: int
    first_by: str | None
    first_outcome: str | None
    refuted_by: str | None
    signs_of_life: list[str] = []


class QuarantinePage(BaseModel):
    quarantine: list[Quarantined]
    next: str | None


class Release(Body):
    """`grant_days`: for so many days the source may state this kind about the person without being asked again."""

    reason: Reason
    grant_days: int | None = Field(default=None, ge=1, le=GRANT_DAYS_MAX)


class Discard(Body):
    """`refuted_by`: the event id of the `alive` fact that refutes a death. Without one, two officers are needed."""

    reason: Reason
    refuted_by: Id | None = None


class Settled(BaseModel):
    """`state` is still `open` while a second officer has to agree."""

    event_id: str
    state: str


@router.get("/v1/quarantine", summary="Events that wait for a human or for another event")
async def list_quarantine(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: Literal["open", "released", "discarded", "withdrawn"] = "open",
    overdue: bool = False,
    group: UUID | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> QuarantinePage:
    """Of your area. Events of a grouped case are listed with `group` only."""
    async with db.reading() as connection:
        owners = [area for area in await review.list_owners(connection, state) if caller.may_see(area)]
        at = clock.now() if overdue else None
        group_id, cursor = str(group) if group else None, str(after) if after else None
        rows = await review.list_quarantine(connection, owners, state, at, group_id, cursor, limit)
        deaths = [row["person_id"] for row in rows if row["kind"] == "death"]
        alive = await review.list_waiting_signs_of_life(connection, deaths) if deaths else {}
    page = [_shown(row, alive) for row in rows]
    return QuarantinePage(quarantine=page, next=page[-1].event_id if len(page) == limit else None)


def _shown(row: Any, alive: dict[str, list[str]]) -> Quarantined:
    fields = {name: row[name] for name in Quarantined.model_fields if name in row.keys()}  # noqa: SIM118 - a record
    signs = alive.get(row["person_id"], []) if row["kind"] == "death" else []
    return Quarantined(
        **fields,
        reason_text=QUARANTINE[row["reason"]][1],
        officers_needed=officers_needed(row),
        signs_of_life=signs,
    )


def officers_needed(row: Any) -> int:
    """Two for what moves money or ends it, and for overruling an objection."""
    strict = row["kind"] in standing_rules().strict and _of_other_area(row)
    return 2 if strict or row["reason"] == "place_objected" else 1


def _of_other_area(row: Any) -> bool:
    """Whether the source does not belong to the person: then its own area does not own what waits."""
    return row["reason"] in RULE_REASONS or row["owner"] != registered()[row["source"]].area


@router.post("/v1/quarantine/{event_id}/release", summary="Let it take effect all the same")
async def release(event_id: UUID, body: Release, caller: Officer, db: Db) -> Settled:
    """Audited. A death, a bank account, an identity change and an objected place need two officers. Not possible where
    the event says nothing without its predecessor, or follows one about another person: then it can only be
    discarded."""
    key = str(event_id)
    async with db.transaction() as tx:
        row = await _open_row(tx, key, caller)
        if row["reason"] not in RELEASABLE or (row["kind"] == "household" and row["part_of"] is None):
            raise Conflict("this event cannot stand without the one it follows", code="not_releasable")
        await _audit(tx, caller, "release", row, body.reason)
        if not await _agreed(tx, row, caller, "release", officers_needed(row)):
            return Settled(event_id=key, state="open")
        request = await _release_of(tx, row, caller, body)
        work = await decide_again(tx, request, clock.now())
        if key not in work.placing.chains and key not in {part.id for part in work.parts_released}:
            raise Conflict("the event it follows waits too: release that one first", code="not_releasable")
        await review.note_release(tx, key, body.reason)
    return Settled(event_id=key, state="released")


async def _release_of(tx: Tx, row: Any, caller: Caller, body: Release) -> Request:
    person_id, event_id = row["person_id"], row["event_id"]
    grants: dict[str, tuple[Grant, ...]] = {}
    if body.grant_days is not None:
        until = (clock.today() + timedelta(days=body.grant_days)).toordinal()
        grants[person_id] = (Grant(row["source"], row["kind"], until),)
    places: dict[str, Decided] = {}
    chain = row["waits_for"] or event_id  # without its predecessor an event begins the chain of that
    if row["reason"] == "place_objected":
        person = (await store.load_persons(tx.sql, [person_id]))[person_id]
        decided = next((d for d in person.memory.stands.decided if d.chain == chain), None)
        if decided is not None:
            places[person_id] = Decided(chain, decided.division, "confirmed")
    return Request(
        person_ids=(person_id,),
        forced=(event_id,) if row["reason"] in _FORCED else (),
        exempt={person_id: (chain,)} if _of_other_area(row) and not places else {},
        places=places,
        grants=grants,
        by=caller.subject,
    )


@router.post("/v1/quarantine/{event_id}/discard", summary="Never apply it")
async def discard(event_id: UUID, body: Discard, caller: Officer, db: Db) -> Settled:
    """Audited. The event stays sealed and counted as parked; nothing is lost. A death is discarded by naming the sign
    of life that refutes it, or by two officers; the suspicion then ends."""
    key, now = str(event_id), clock.now()
    async with db.transaction() as tx:
        row = await _open_row(tx, key, caller)
        await _audit(tx, caller, "discard", row, body.reason)
        refuted_by = str(body.refuted_by) if body.refuted_by else None
        if row["kind"] == "death" and row["reason"] in RULE_REASONS:
            if refuted_by is not None:
                await _need_sign_of_life(tx, row["person_id"], refuted_by, await _day_of_death(tx, key))
            elif not await _agreed(tx, row, caller, "discard", 2):
                return Settled(event_id=key, state="open")
        if not await review.discard(tx, key, now, caller.subject, body.reason, refuted_by):
            raise Conflict("it was settled meanwhile", code="settled")
        await decide_again(tx, Request(person_ids=(row["person_id"],), by=caller.subject), now)
    return Settled(event_id=key, state="discarded")


async def _day_of_death(tx: Tx, event_id: str) -> date:
    event = open_kept(event_id, (await store.load_sealed(tx.sql, [event_id]))[event_id])
    return event.valid_from or event.day


async def _need_sign_of_life(tx: Tx, person_id: str, event_id: str, died_on: date) -> None:
    """Raises Malformed unless the event is a counting `alive` fact of this person, or of the same human, on the day of
    the stated death or later."""
    found = await store.load_persons(tx.sql, [person_id])
    facts = facts_of(found[person_id], found)
    named = [f for f in facts if f.kind == "alive" and f.event_id == event_id]
    if not any(f.valid_from is not None and f.valid_from >= died_on for f in named):
        detail = "no alive fact of this person since the stated death"
        problem = Problem(pointer="/refuted_by", code="no_sign_of_life", detail=detail)
        raise Malformed("refuted_by must name an alive fact of this person since the death", problems=[problem])


async def _agreed(tx: Tx, row: Any, caller: Caller, outcome: str, needed: int) -> bool:
    """Whether enough officers have decided the same. Raises Conflict where one officer decides twice."""
    if needed < 2:
        return True
    if row["first_outcome"] == outcome and row["first_by"] is not None:
        if row["first_by"] == caller.subject:
            raise Conflict("a second officer must decide", code="same_officer")
        return True
    await review.note_first(tx, row["event_id"], caller.subject, outcome)
    return False


async def _open_row(tx: Tx, event_id: str, caller: Caller) -> Any:
    person_id = await review.person_of(tx.sql, event_id)
    if person_id is None:
        raise NotFound("nothing in quarantine has this id")
    await load(tx, {}, Request(person_ids=(person_id,)))  # locks what a decision locks, in the same order
    row = await review.load_quarantined(tx.sql, event_id)
    caller.need_area(row["owner"])
    if row["state"] != "open":
        raise Conflict(f"it was {row['state']} already", code="settled")
    return row


async def _audit(tx: Any, caller: Caller, action: str, row: Any, reason: str) -> None:
    await audits.append_audit(
        tx,
        caller,
        clock.real_now(),
        action=f"quarantine_{action}",
        purpose=reason,
        cause=row["event_id"],
        person_ids=[row["person_id"]],
    )
