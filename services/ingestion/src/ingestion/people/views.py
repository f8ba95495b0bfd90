"""Computes how officers see a person: the facts of a day, the areas that may see the person, and the vault's fields.

A person belongs to one ID number. Several persons may be one human after a merge. A *circle* holds all persons that
were ever stated to be one human. `found` always holds all persons of the circle, as `load_persons` returns them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from common.events.facts import Kind, Registration, Residence
from common.events.pushed_values import PopulationValue
from rules.facts.identity import identity_known_at, statements_counting
from rules.facts.timeline import Fact, facts_known_at
from shell.access.auth import Caller
from shell.access.scopes import scope_of
from shell.privacy import vault

from ingestion.domain.identity import ever_aliases, statements_of_others
from ingestion.domain.links import identity_statements, links_known_at, number_in_use
from ingestion.domain.person import Person, statements_of
from ingestion.recording.kept_events import open_event
from ingestion.recording.store import statements as store

FieldKey = tuple[str, str]  # person id and name of a field of the vault
Fields = dict[FieldKey, str]
Values = dict[str, PopulationValue | None]  # by event id


def facts_of(person: Person, found: Mapping[str, Person], known_at: datetime | None = None) -> tuple[Fact, ...]:
    """The facts of the human whom this person represents, as known at an instant (None: now).

    A person that is merged into another one has only its own facts."""
    others = [found[alias] for alias in ever_aliases(person.identities)]
    known = (*statements_of(person.statements), *statements_of_others(person.identities, others))
    return facts_known_at(statements_counting(known, person.identities, known_at), known_at)


def human_of(person: Person, found: Mapping[str, Person], known_at: datetime | None = None) -> tuple[Person, list[str]]:
    """The person that survives the merge, and the ids of all persons of the same human, itself included."""
    survivor = found[identity_known_at(person.identities, known_at).merged_into or person.person_id]
    return survivor, [survivor.person_id, *identity_known_at(survivor.identities, known_at).aliases]


def areas_of(facts: Sequence[Fact], day: date, division: str | None) -> list[str]:
    """The divisions of residence and hukou on a day. If no fact gives one, the result is `division`, the newest place
    that counts fully.

    A claimed place gives no access.
    """
    places = [_place(fact) for fact in facts if _gives_access(fact, day)]
    found = [place for place in places if place is not None]
    return found or ([division] if division else [])


def _gives_access(fact: Fact, day: date) -> bool:
    return fact.standing != "claimed" and fact.holds_on(day)


def _place(fact: Fact) -> str | None:
    """The division of a residence or a hukou."""
    if isinstance(fact.value, Residence):
        return fact.value.division
    return fact.value.hukou_division if isinstance(fact.value, Registration) else None


def may_see(caller: Caller, areas: Sequence[str]) -> bool:
    """Whether one of the person's areas is in the caller's scope: hukou and residence often differ, and both offices
    serve the person. Only the scope of everything includes a person without a known area."""
    scope = scope_of(caller)
    return any(scope.sees(area) for area in areas) or (not areas and scope.sees(None))


def areas_of_human(person: Person, found: Mapping[str, Person], day: date) -> list[str]:
    """The areas of a person, and those of the survivor if the person is merged into another."""
    survivor, _ = human_of(person, found)
    persons = [person] if survivor is person else [person, survivor]
    return [area for one in persons for area in areas_of(facts_of(one, found), day, one.division)]


def event_of(facts: Sequence[Fact], kind: Kind, day: date) -> str | None:
    """The id of the event whose value of this kind holds on a day; None if no value holds."""
    return next((fact.event_id for fact in facts if fact.kind == kind and fact.holds_on(day)), None)


async def load_values(connection: Any, event_ids: Collection[str]) -> Values:
    """The decrypted values of these events, by event id."""
    sealed = await store.load_sealed(connection, event_ids)
    return {event_id: open_event(event_id, body).value for event_id, body in sealed.items()}


async def load_identities(
    connection: Any, persons: Sequence[Person], found: Mapping[str, Person], fields: Sequence[str]
) -> Fields:
    """Decrypted fields of the vault by (person_id, field). For a merged person: the ID number in use now, and the name
    reported last under any number."""
    holders = _holders_of_all(persons, found, fields)
    opened = await _load_opened(connection, sorted({holder for holder, _ in holders.values()}), fields)
    return {field: opened[holder] for field, holder in holders.items() if holder in opened}


def _holders_of_all(
    persons: Sequence[Person], found: Mapping[str, Person], fields: Sequence[str]
) -> dict[FieldKey, FieldKey]:
    """For each field of a person, the key of the vault row that holds it."""
    holders = {}
    for person in persons:
        for field, holder in _holders(person, found, fields).items():
            holders[person.person_id, field] = (holder, field)
    return holders


async def _load_opened(connection: Any, person_ids: Sequence[str], fields: Sequence[str]) -> Fields:
    """The decrypted rows of the vault."""
    rows = await store.load_vault(connection, person_ids, fields)
    return {row.key: _opened(row) for row in rows}


def _opened(row: store.Sealed) -> str:
    return vault().open(row.sealed, f"{row.person_id}/{row.field}".encode()).decode()


def _holders(person: Person, found: Mapping[str, Person], fields: Sequence[str]) -> dict[str, str]:
    """For each field the id of the person whose vault row holds it."""
    survivor, ids = human_of(person, found)
    if len(ids) == 1:
        return dict.fromkeys(fields, person.person_id)
    persons = [found[p] for p in ids]
    number, named_last = _number_in_use(survivor, persons), _named_last(persons).person_id
    return {field: number if field == "id_number" else named_last for field in fields}


def _number_in_use(survivor: Person, persons: Sequence[Person]) -> str:
    by_person = {p.person_id: identity_statements(p.statements) for p in persons}
    return number_in_use(survivor.person_id, list(by_person), links_known_at(by_person))


def _named_last(persons: Sequence[Person]) -> Person:
    """The person with the newest name. At equal times the greater digest decides, so the choice is always the same."""
    return max(persons, key=lambda person: (person.memory.name_at, person.memory.name_digest))


def fact_json(fact: Fact) -> dict[str, Any]:
    """The fields of a fact by name, as JSON values."""
    built: dict[str, Any] = msgspec.to_builtins(fact)  # a named tuple becomes a list
    return dict(zip(Fact._fields, built, strict=True))
