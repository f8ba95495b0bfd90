"""One person as an authorised caller may see them, as known at an instant: shared by everything that answers."""

import datetime as dt
from typing import Final, Literal, NamedTuple

import asyncpg
from common.errors import NotAllowed, NotFound
from common.events import Ability, EntitlementsDecided
from common.events.facts import Registration, Residence
from rules.deciding.choices import Choice
from rules.facts.doubt import Doubt
from rules.facts.timeline import Fact
from shell.access.auth import Caller, Role
from shell.access.scopes import OwnPerson, scope_of

from identification.deciding.decisions import decision_of, inputs_of
from identification.deciding.domain.decision import Inputs, Person, decide_person
from identification.deciding.store import people as store
from identification.lists.in_force import Running, running_at, running_behind
from identification.lists.shapes import FromStruct
from identification.lists.store import lists as lists_store

READERS: Final[tuple[Role, ...]] = ("officer", "approver", "auditor", "assessor", "resident")


class CitationView(FromStruct):
    """The clause that decided. `example`: no document says so; paid in demonstrations only."""

    version: str
    title: str
    issuer: str
    date: dt.date
    locator: str
    status: Literal["documented", "example"]


class View(NamedTuple):
    """`known_at`: the newest knowledge in it. `version`: of the decision that was in force then. `event`: None where
    nothing was known that decides anything."""

    person: Person
    known_at: dt.datetime
    version: int
    running: Running
    inputs: Inputs | None
    event: EntitlementsDecided | None

    @property
    def facts(self) -> tuple[Fact, ...]:
        return self.inputs.facts_known_at(self.known_at) if self.inputs else ()

    @property
    def abilities(self) -> tuple[Ability, ...]:
        return self.inputs.abilities_known_at(self.known_at) if self.inputs else ()

    @property
    def choices(self) -> list[Choice]:
        return self.inputs.choices_known_at(self.known_at) if self.inputs else []

    @property
    def doubt(self) -> Doubt | None:
        return self.inputs.doubt_known_at(self.known_at) if self.inputs else None


def need_person(caller: Caller, person_id: str, person: Person | None) -> Person:
    """The person. Raises NotFound, or NotAllowed outside the caller's scope; a resident sees one person alone."""
    scope = scope_of(caller)
    if isinstance(scope, OwnPerson) and scope.person_id != person_id:
        raise NotAllowed("residents see themselves only")
    if person is None:
        raise NotFound("nobody is known by this id")
    if not isinstance(scope, OwnPerson) and not any(scope.sees(area) for area in _areas(person)):
        raise NotAllowed("outside your area")
    return person


def _areas(person: Person) -> set[str | None]:
    """Hukou and residence. A claimed place shows the person to nobody there; then all vouched places count."""
    areas = {person.residence, person.hukou}
    if person.facts is None or b'"claimed"' not in person.facts:
        return areas
    inputs = inputs_of(person)
    claimed, vouched = set[str | None](), set[str | None]()
    for fact in inputs.facts_known_at(None) if inputs else ():
        if isinstance(fact.value, Residence):
            (claimed if fact.standing == "claimed" else vouched).add(fact.value.division)
        elif isinstance(fact.value, Registration):
            (claimed if fact.standing == "claimed" else vouched).add(fact.value.hukou_division)
    return (areas - claimed) | vouched


async def view_person(
    connection: asyncpg.Connection, caller: Caller, person_id: str, known_at: dt.datetime | None
) -> View:
    """What is in force now, or, given an instant, what followed from everything learnt up to it."""
    person = need_person(caller, person_id, await store.load_person(connection, person_id))
    inputs = inputs_of(person)
    if known_at is None:
        running = await running_behind(connection, person.policy_digest)
        return View(person, person.recorded_at, person.version, running, inputs, decision_of(person))
    running = await running_at(connection, await lists_store.publication_known_at(connection, known_at))
    version = await store.version_known_at(connection, person_id, known_at)
    event = decide_person(inputs, running.lists, known_at)[0] if inputs else None
    return View(person, min(known_at, person.recorded_at), version, running, inputs, event)
