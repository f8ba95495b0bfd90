"""`GET /v1/quarantine`, `POST /v1/quarantine/{event_id}/release|discard`."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from common.errors import Conflict, Malformed, NotFound, Problem
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require, require_fresh
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.domain.problems import QUARANTINE
from ingestion.domain.standing_state import Grant, PlaceRuling
from ingestion.people.views import facts_of
from ingestion.recording.batch import Request
from ingestion.recording.kept_events import open_events
from ingestion.recording.locks import load
from ingestion.recording.recorder import decide_again
from ingestion.recording.store.statements import load_persons
from ingestion.recording.waiting_events import RULE_REASONS
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered
from ingestion.review.shapes import DiscardIn, QuarantinedOut, QuarantinePageOut, ReleaseIn, SettledOut
from ingestion.review.store import quarantine as store
from ingestion.review.store.owners import list_owners, list_owners_in_group
from ingestion.review.store.quarantine import Quarantined

router = APIRouter(tags=["quarantine"])
_FORCED: Final = frozenset({"predecessor_missing", "predecessor_discarded", "certificate_of_another"})
RELEASABLE: Final = _FORCED | RULE_REASONS
Officer = Annotated[Caller, Depends(require_fresh("officer", "admin"))]


@router.get("/v1/quarantine", summary="Events that wait for an officer or for another event")
async def list_quarantine(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: Literal["open", "released", "discarded", "withdrawn"] = "open",
    overdue: bool = False,
    group: UUID | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> QuarantinePageOut:
    """Audited. Events of your area. Events of a group are listed with `group` only."""
    async with db.transaction() as tx:
        group_id, cursor = str(group) if group else None, str(after) if after else None
        owners = [area for area in await _owners(tx.sql, state, group_id) if caller.may_see(area)]
        at = clock.now() if overdue else None
        rows = await store.list_quarantine(tx.sql, owners, state, at, group_id, cursor, limit)
        deaths = [row.person_id for row in rows if row.kind == "death"]
        alive = await store.list_waiting_signs_of_life(tx.sql, deaths) if deaths else {}
        await audits.append(tx, caller, act="search", purpose="quarantine", person_ids=[row.person_id for row in rows])
    page = [_out(row, alive) for row in rows]
    return QuarantinePageOut(quarantine=page, next=page[-1].event_id if len(page) == limit else None)


async def _owners(connection: Any, state: str, group_id: str | None) -> list[str]:
    """The areas that own the rows of a group, or rows without a group."""
    if group_id is not None:
        return await list_owners_in_group(connection, group_id)
    return await list_owners(connection, "quarantine", state)


def _out(row: Quarantined, alive: Mapping[str, list[str]]) -> QuarantinedOut:
    """The answer about one row. `alive`: event ids of waiting signs of life by person."""
    return QuarantinedOut(
        **row._asdict(),
        reason_text=QUARANTINE[row.reason][1],
        officers_needed=officers_needed(row),
        signs_of_life=alive.get(row.person_id, []) if row.kind == "death" else [],
    )


def officers_needed(row: Quarantined) -> int:
    """The number of officers who must agree on a release.

    Two for a `strict` kind if `_is_foreign`, and two to overrule an objection."""
    strict = row.kind in standing_rules().strict and _is_foreign(row)
    return 2 if strict or row.reason == "place_objected" else 1


def _is_foreign(row: Quarantined) -> bool:
    """Whether the source does not belong to the person, or may not: its area is not the owner. So an escalated event
    also counts as foreign."""
    return row.reason in RULE_REASONS or row.owner != registered()[row.source].area


# ── release ─────────────────────────────────────────────────────────────────────────────────────────────────


@router.post("/v1/quarantine/{event_id}/release", summary="Let the event take effect")
async def release(event_id: UUID, body: ReleaseIn, caller: Officer, db: Db) -> SettledOut:
    """Audited. A death, a bank account and an identity change need two officers if the source does not belong to the
    person, or if the event was escalated. An objected place always needs two. Two officers must also decide the same
    `grant_days`. Other events are refused (409, `not_releasable`): the event before them waits, too, or is about
    another person or kind; the person would have too many numbers; the event is a whole household list. They can only
    be discarded."""
    key = str(event_id)
    async with db.transaction() as tx:
        row = await _open_row(tx, key, caller)
        if row.reason not in RELEASABLE or (row.kind == "household" and row.part_of is None):
            raise Conflict("this event cannot take effect without the one that it follows", code="not_releasable")
        await _audit(tx, caller, "release", row, body.reason)
        if not await _agreed(tx, row, caller, "release", officers_needed(row), body.grant_days):
            return SettledOut(event_id=key, state="open")
        work = await decide_again(tx, await _request(tx, row, caller, body.grant_days), clock.now())
        if key not in work.placing.chains and key not in {part.id for part in work.released_parts}:
            raise Conflict("the event that it follows waits, too: release that one first", code="not_releasable")
        await store.note_release(tx, key, body.reason)
    return SettledOut(event_id=key, state="released")


async def _request(tx: Tx, row: Quarantined, caller: Caller, grant_days: int | None) -> Request:
    """The release as a decision for recording."""
    chain = row.waits_for or row.event_id  # an event without its predecessor begins the chain of the predecessor
    places = await _overruled_place(tx, row.person_id, chain) if row.reason == "place_objected" else {}
    return Request(
        person_ids=(row.person_id,),
        forced=(row.event_id,) if row.reason in _FORCED else (),
        exempt={row.person_id: (chain,)} if _is_foreign(row) and not places else {},
        places=places,
        grants={row.person_id: (_grant(row, grant_days),)} if grant_days is not None else {},
        by=caller.user,
    )


def _grant(row: Quarantined, days: int) -> Grant:
    return Grant(row.source, row.kind, (clock.today() + timedelta(days=days)).toordinal())


async def _overruled_place(tx: Tx, person_id: str, chain: str) -> dict[str, PlaceRuling]:
    """The decision that confirms the objected place of a chain, by person; empty without an objection."""
    person = (await load_persons(tx.sql, [person_id]))[person_id]
    ruling = next((r for r in person.memory.standing.rulings if r.chain == chain), None)
    return {person_id: PlaceRuling(chain, ruling.division, "confirmed")} if ruling is not None else {}


# ── discard ─────────────────────────────────────────────────────────────────────────────────────────────────


@router.post("/v1/quarantine/{event_id}/discard", summary="Never apply the event")
async def discard(event_id: UUID, body: DiscardIn, caller: Officer, db: Db) -> SettledOut:
    """Audited. The event stays sealed and is counted as parked. One officer is enough, except for a death from a source
    that does not belong to the person: two officers discard it, or the sign of life that refutes it. The suspicion then
    ends."""
    key, now = str(event_id), clock.now()
    refuted_by = str(body.refuted_by) if body.refuted_by else None
    async with db.transaction() as tx:
        row = await _open_row(tx, key, caller)
        await _audit(tx, caller, "discard", row, body.reason)
        if not await _may_discard(tx, row, caller, refuted_by):
            return SettledOut(event_id=key, state="open")
        if not await store.discard(tx, key, now, caller.user, body.reason, refuted_by):
            raise Conflict("it was settled meanwhile", code="settled")
        await decide_again(tx, Request(person_ids=(row.person_id,), by=caller.user), now)
    return SettledOut(event_id=key, state="discarded")


async def _may_discard(tx: Tx, row: Quarantined, caller: Caller, refuted_by: str | None) -> bool:
    """Whether the event may be discarded now. False while a death needs a second officer.

    Raises Malformed if `refuted_by` does not refute the death."""
    if row.kind != "death" or row.reason not in RULE_REASONS:
        return True
    if refuted_by is None:
        return await _agreed(tx, row, caller, "discard", 2)
    await _need_sign_of_life(tx, row.person_id, refuted_by, await _day_of_death(tx, row.event_id))
    return True


async def _day_of_death(tx: Tx, event_id: str) -> date:
    """The stated day of a death; without one, the day of its event."""
    event = (await open_events(tx, [event_id]))[event_id]
    return event.valid_from or event.day


async def _need_sign_of_life(tx: Tx, person_id: str, event_id: str, died_on: date) -> None:
    """Raise Malformed unless the event refutes the death: it is an `alive` fact that counts, of this person or of the
    same human, on the day of the stated death or later."""
    found = await load_persons(tx.sql, [person_id])
    facts = facts_of(found[person_id], found)
    named = [f for f in facts if f.kind == "alive" and f.event_id == event_id]
    if not any(f.valid_from is not None and f.valid_from >= died_on for f in named):
        detail = "no alive fact of this person since the stated death"
        problem = Problem(pointer="/refuted_by", code="no_sign_of_life", detail=detail)
        raise Malformed("refuted_by must name an alive fact of this person since the death", problems=[problem])


# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _agreed(
    tx: Tx, row: Quarantined, caller: Caller, outcome: str, needed: int, grant_days: int | None = None
) -> bool:
    """Whether enough officers have decided the same, also about a grant. If not, store this decision as the first one.

    Raises Conflict if the first officer makes the same decision again."""
    if needed < 2:
        return True
    if row.first_by is not None and (row.first_outcome, row.first_grant_days) == (outcome, grant_days):
        if row.first_by == caller.user:
            raise Conflict("a second officer must decide", code="same_officer")
        return True
    await store.note_first(tx, row.event_id, caller.user, outcome, grant_days)
    return False


async def _open_row(tx: Tx, event_id: str, caller: Caller) -> Quarantined:
    """Lock the person and load the row. Raises NotFound, NotAllowed, or Conflict if it is settled."""
    person_id = await store.person_of(tx.sql, event_id)
    if person_id is None:
        raise NotFound("no event in quarantine has this id")
    await load(tx, {}, Request(person_ids=(person_id,)))  # locks what a decision locks, in the same order
    row = await store.load_quarantined(tx.sql, event_id)
    caller.need_area(row.owner)
    if row.state != "open":
        raise Conflict(f"it was {row.state} already", code="settled")
    return row


async def _audit(tx: Tx, caller: Caller, action: str, row: Quarantined, reason: str) -> None:
    await audits.append(
        tx,
        caller,
        act=f"quarantine_{action}",
        purpose=reason,
        cause=row.event_id,
        person_ids=[row.person_id],
    )
