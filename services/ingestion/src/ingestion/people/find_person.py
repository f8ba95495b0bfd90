"""`POST /v1/persons/lookup` and `GET /v1/persons/{person_id}`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from common.codes.id_number import RAW_LENGTH_MAX, IdProblem, check
from common.errors import Malformed, NotFound, Problem
from common.events.facts import Registration
from common.events.population import ResidenceValue
from common.message import derived_id
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.facts.death import Deceased, death_of
from rules.facts.identity import identity_known_at
from shell import clock
from shell.access import read_budget
from shell.access.auth import Caller, require
from shell.access.read_budget import Spent
from shell.http.params import ONE_LINE, Body, Day, Instant
from shell.privacy import mask_address, mask_id_number, mask_name, vault
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store as audits
from ingestion.domain.person import Person
from ingestion.people import views
from ingestion.recording.store import statements as store

router = APIRouter(tags=["persons"])
Officer = Annotated[Caller, Depends(require("officer", "approver", "assessor", "auditor"))]


class Lookup(Body):
    id_number: str = Field(min_length=1, max_length=RAW_LENGTH_MAX, pattern=ONE_LINE)


class Found(BaseModel):
    person_id: str


class FactOfPerson(BaseModel):
    """What holds over [`valid_from`, `valid_to`). `event_id`: the event that said so; `via`: the household."""

    kind: str
    value: dict[str, Any]
    valid_from: date | None
    valid_to: date | None
    event_id: str
    source: str
    rank: int
    via: str | None


class PersonSeen(BaseModel):
    """Name, number and address are masked. No user sees them clear here."""

    person_id: str
    aliases: list[str] = Field(description="other persons (numbers) that are the same human")
    merged_into: str | None = Field(description="the person who answers for this one; look there")
    version: int
    on: date
    id_number: str | None
    name: str | None
    address: str | None
    birth_date: date | None
    life: str = Field(description="alive, suspected_dead or dead")
    facts: list[FactOfPerson]


@router.post("/v1/persons/lookup", summary="Find a person by ID number")
async def look_up_person(body: Lookup, caller: Officer, db: Db) -> Found:
    """Audited. A person with several numbers is found by each of them, as one person. A person outside your area is not
    found, as if no such person existed. Every number counts for the caller's read budget of the day (429,
    `read_budget_used`), also one that finds nobody."""
    number = check(body.id_number, clock.today())
    if isinstance(number, IdProblem):
        raise Malformed(number.detail, problems=[Problem(pointer="/id_number", code=number.code, detail=number.detail)])
    async with db.transaction() as tx:
        index = vault().blind_index(number.number)
        named = (await store.list_identities(tx.sql, [index])).get(index)
        known = await store.load_persons(tx.sql, [named] if named else [])
        person = known[known[named].merged_into or named] if named else None
        found = [person.person_id] if person and _seen_by(caller, person, known) else []
        spent = await read_budget.spend(tx, caller, [person.person_id if person else _nobody(index)])
        await _audit(tx, caller, "lookup", found, spent)
    spent.need_allowed()
    if not found:
        raise NotFound("nobody in your area has this number")
    return Found(person_id=found[0])


def _nobody(index: bytes) -> str:
    """What a number that is nobody's counts as: trying numbers uses the budget, too."""
    return derived_id("nobody", index.hex())


async def _audit(tx: Tx, caller: Caller, action: str, found: Sequence[str], spent: Spent) -> None:
    """A refused read is a row, too; its cause is the case that supervision opens."""
    purpose, cause = ("read_budget_used", spent.case_id) if spent.case_id else (action, "")
    seen = found if spent.allowed else ()
    await audits.append_audit(
        tx, caller, clock.real_now(), action=action, purpose=purpose, cause=cause, person_ids=list(seen)
    )


def _seen_by(caller: Caller, person: Person, known: Mapping[str, Person]) -> bool:
    return views.may_see(caller, views.areas_of_human(person, known, clock.today()))


@router.get("/v1/persons/{person_id}", summary="A person's facts on a day")
async def get_person(
    person_id: UUID, caller: Officer, db: Db, on: Day | None = None, known_at: Instant | None = None
) -> PersonSeen:
    """What was true on `on` (today), as far as it was known at `known_at` (now). All facts are listed, also past
    and future ones, with those of the person's `aliases`; number and name are always those in use now. Audited, and
    counted for the caller's read budget of the day (429, `read_budget_used`)."""
    day, key = on or clock.today(), str(person_id)
    async with db.transaction() as tx:
        known = await store.load_persons(tx.sql, [key])
        found = key in known and _seen_by(caller, known[key], known)
        spent = await read_budget.spend(tx, caller, [key])
        await _audit(tx, caller, "read", [key] if found else [], spent)
        shown = await _shown(tx, known[key], known, day, known_at) if found and spent.allowed else None
    spent.need_allowed()
    if shown is None:
        raise NotFound("no such person")
    return shown


async def _shown(
    tx: Tx, person: Person, known: Mapping[str, Person], day: date, known_at: datetime | None
) -> PersonSeen:
    key, facts = person.person_id, views.facts_of(person, known, known_at)
    lives_by = views.event_of(facts, "residence", day)
    opened = await views.identities(tx.sql, [person], known, ["id_number", "name"])
    where = (await views.values(tx.sql, [lives_by] if lives_by else [])).get(lives_by or "")
    number, name = opened.get((key, "id_number")), opened.get((key, "name"))
    address = where.address if isinstance(where, ResidenceValue) else None
    dead = death_of(facts)
    register = [f.value for f in facts if isinstance(f.value, Registration)]
    identity = identity_known_at(person.identities, known_at)
    return PersonSeen(
        person_id=key,
        aliases=list(identity.aliases),
        merged_into=identity.merged_into,
        version=person.version,
        on=day,
        id_number=mask_id_number(number) if number else None,
        name=mask_name(name) if name else None,
        address=mask_address(address) if address else None,
        birth_date=register[-1].birth_date if register else None,
        life="alive" if dead is None else "dead" if isinstance(dead, Deceased) else "suspected_dead",
        facts=[FactOfPerson(**views.told(fact)) for fact in facts],
    )
