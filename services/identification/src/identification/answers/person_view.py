"""Load one person as known at an instant: inputs, lists and decision."""

import datetime as dt
from typing import NamedTuple

import asyncpg
from common.events import Ability, EntitlementsDecided
from rules.deciding.choices import Choice
from rules.facts.doubt import Doubt
from rules.facts.timeline import Fact
from shell.access.auth import Caller

from identification.deciding.access import need_person
from identification.deciding.domain.decision import decide_person
from identification.deciding.domain.person import Inputs, Person, decision_of, inputs_of
from identification.deciding.store import people as store
from identification.lists.domain.content import ListSet
from identification.lists.in_force import load_set, newest_equivalent_set
from identification.lists.store.publications import set_known_at


class PersonView(NamedTuple):
    """A person as known at the instant `known_at`: that of the newest input, or the requested one if it is earlier.

    `version`: of the newest decision from inputs recorded until then. `event`: the decision; None if no facts of the
    person are stored. From an instant before the first fact, it is a decision without entitlements.
    """

    person: Person
    known_at: dt.datetime
    version: int
    list_set: ListSet
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


async def view_person(
    connection: asyncpg.Connection, caller: Caller, person_id: str, known_at: dt.datetime | None
) -> PersonView:
    """Load a person with the stored decision, or (with `known_at`) with the decision from all inputs known then.

    Raises NotFound, or NotAllowed outside the caller's scope.
    """
    person = need_person(caller, person_id, await store.load_person(connection, person_id))
    inputs = inputs_of(person)
    if known_at is None:
        list_set = await newest_equivalent_set(connection, person.policy_digest)
        return PersonView(person, person.recorded_at, person.version, list_set, inputs, decision_of(person))
    list_set = await load_set(connection, await set_known_at(connection, known_at))
    version = await store.version_known_at(connection, person_id, known_at)
    event = decide_person(inputs, list_set.lists, known_at).event if inputs else None
    return PersonView(person, min(known_at, person.recorded_at), version, list_set, inputs, event)
