"""Routes that find a person by ID number and show the person's facts.

`POST /v1/persons/lookup` and `GET /v1/persons/{person_id}`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from common.codes.id_number import IdProblem, check
from common.errors import Malformed, NotFound, Problem
from common.events.facts import Registration
from common.events.pushed_values import ResidenceValue
from common.message import derived_id
from fastapi import APIRouter, Depends
from rules.facts.death import Deceased, death_of
from rules.facts.identity import identity_known_at
from rules.facts.timeline import Fact
from shell import clock
from shell.access import read_budget
from shell.access.auth import Caller, require
from shell.access.read_budget import Spent
from shell.audit import audits
from shell.http.params import Day, Instant
from shell.privacy import mask_address, mask_id_number, mask_name, vault
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.domain.person import Person
from ingestion.people import views
from ingestion.people.shapes import FactOut, FoundOut, LookupIn, PersonOut
from ingestion.recording.store import statements as store

router = APIRouter(tags=["persons"])
Officer = Annotated[Caller, Depends(require("officer", "approver", "assessor", "auditor"))]


@router.post("/v1/persons/lookup", summary="Find a person by ID number")
async def look_up_person(body: LookupIn, caller: Officer, db: Db) -> FoundOut:
    """Audited. Each number of a merged person finds the same person. A person outside your area gets the answer of an
    unknown number. Every number, also an unknown one, counts against the caller's read budget of the day (429,
    `read_budget_used`)."""
    index = _blind_index(body)
    async with db.transaction() as tx:
        known, person = await _load_by_number(tx, index)
        found = person is not None and _is_visible(caller, person, known)
        key = person.person_id if person is not None else _unknown_person(index)
        spent = await _spend(tx, caller, "lookup", key, found=found)
    spent.need_allowed()
    if not found:
        raise NotFound("nobody in your area has this number")
    return FoundOut(person_id=key)


@router.get("/v1/persons/{person_id}", summary="Show a person on a day, with all facts")
async def get_person(
    person_id: UUID, caller: Officer, db: Db, on: Day | None = None, known_at: Instant | None = None
) -> PersonOut:
    """Returns the person as known at `known_at` (default: now). `address` and `life` are those of the day `on`
    (default: today); `birth_date` is that of the newest registration, as in decisions. `facts` lists all facts, also
    past and future ones, with those of the person's `aliases`. Number and name are always those in use now. Audited,
    and counted against the caller's read budget of the day (429, `read_budget_used`)."""
    day, key = on or clock.today(), str(person_id)
    async with db.transaction() as tx:
        known = await store.load_persons(tx.sql, [key])
        found = key in known and _is_visible(caller, known[key], known)
        spent = await _spend(tx, caller, "read", key, found=found)
        shown = await _shown(tx, known[key], known, day, known_at) if found and spent.allowed else None
    spent.need_allowed()
    if shown is None:
        raise NotFound("no such person")
    return shown


def _blind_index(body: LookupIn) -> bytes:
    """The blind index (keyed hash) of the ID number. Raises Malformed for a text that is no ID number."""
    number = check(body.id_number, clock.today())
    if isinstance(number, IdProblem):
        raise _malformed(number)
    return vault().blind_index(number.number)


def _malformed(wrong: IdProblem) -> Malformed:
    problem = Problem(pointer="/id_number", code=wrong.code, detail=wrong.detail)
    return Malformed(wrong.detail, problems=[problem])


async def _load_by_number(tx: Tx, index: bytes) -> tuple[Mapping[str, Person], Person | None]:
    """Return the persons of the circle by id, and the survivor among them; no persons and None for an unknown number.

    A circle holds all persons that were ever stated to be one human (`domain.identity`)."""
    owner = (await store.list_identities(tx.sql, [index])).get(index)
    if owner is None:
        return {}, None
    known = await store.load_persons(tx.sql, [owner])
    return known, known[known[owner].merged_into or owner]


def _unknown_person(index: bytes) -> str:
    """An id under which an unknown number counts against the read budget. So no user can try numbers without limit."""
    return derived_id("nobody", index.hex())


async def _spend(tx: Tx, caller: Caller, action: str, key: str, *, found: bool) -> Spent:
    """Count the read of a person against the budget, and append an audit row, also for a refused read."""
    spent = await read_budget.spend(tx, caller, [key])
    purpose, cause = _reason(action, spent)
    seen = [key] if found and spent.allowed else []
    await audits.append(tx, caller, act=action, purpose=purpose, cause=cause, person_ids=seen)
    return spent


def _reason(action: str, spent: Spent) -> tuple[str, str]:
    """Purpose and cause of the audit row. The cause of a refused read is the case that supervision opens."""
    return ("read_budget_used", spent.case_id) if spent.case_id else (action, "")


def _is_visible(caller: Caller, person: Person, known: Mapping[str, Person]) -> bool:
    return views.may_see(caller, views.areas_of_human(person, known, clock.today()))


async def _shown(
    tx: Tx, person: Person, known: Mapping[str, Person], day: date, known_at: datetime | None
) -> PersonOut:
    facts = views.facts_of(person, known, known_at)
    identity = identity_known_at(person.identities, known_at)
    masked = await _load_masked(tx, person, known, views.event_of(facts, "residence", day))
    return PersonOut(
        person_id=person.person_id,
        aliases=list(identity.aliases),
        merged_into=identity.merged_into,
        version=person.version,
        on=day,
        id_number=masked.id_number,
        name=masked.name,
        address=masked.address,
        birth_date=_birth_date(facts),
        life=_life(facts, day),
        facts=[FactOut(**views.fact_json(fact)) for fact in facts],
    )


class _Masked(NamedTuple):
    id_number: str | None
    name: str | None
    address: str | None


def _masked(mask: Callable[[str], str], text: str | None) -> str | None:
    return mask(text) if text else None


async def _load_masked(tx: Tx, person: Person, known: Mapping[str, Person], residence_event: str | None) -> _Masked:
    """The masked ID number, name and address of a person. `residence_event`: the event with the address, if any."""
    opened = await views.load_identities(tx.sql, [person], known, ["id_number", "name"])
    address = await _load_address(tx, residence_event) if residence_event else None
    return _Masked(
        _masked(mask_id_number, opened.get((person.person_id, "id_number"))),
        _masked(mask_name, opened.get((person.person_id, "name"))),
        _masked(mask_address, address),
    )


async def _load_address(tx: Tx, residence_event: str) -> str | None:
    value = (await views.load_values(tx.sql, [residence_event])).get(residence_event)
    return value.address if isinstance(value, ResidenceValue) else None


def _birth_date(facts: Sequence[Fact]) -> date | None:
    """The birth date in the last registration. A birth date never changes, so it counts for every day."""
    registrations = [fact.value for fact in facts if isinstance(fact.value, Registration)]
    return registrations[-1].birth_date if registrations else None


def _life(facts: Sequence[Fact], day: date) -> str:
    """Return `alive`, `dead` or `suspected_dead` for a day. The last two hold from the day of death on."""
    death = death_of(facts)
    if death is None or death.on > day:
        return "alive"
    return "dead" if isinstance(death, Deceased) else "suspected_dead"
