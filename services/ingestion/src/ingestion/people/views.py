"""A person as officers see them: the facts of a day, the areas that may see the person, and the vault's fields.

A person belongs to one ID number. Several persons may be one human after a merge; `found` always holds all persons of
the circle, as `load_persons` returns them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from common.events.facts import Kind, Registration, Residence
from common.events.population import PopulationValue
from rules.facts.identity import identity_known_at, statements_counting
from rules.facts.timeline import Fact, facts_known_at
from shell.access.auth import Caller
from shell.access.scopes import scope_of
from shell.privacy import vault

from ingestion.domain.identity import (
    ever_aliases,
    identity_statements,
    links_known_at,
    number_in_use,
    statements_of_others,
)
from ingestion.domain.person import Person, statements_of
from ingestion.reading.events import reopen
from ingestion.recording.store import statements as store


def facts_of(person: Person, found: Mapping[str, Person], known_at: datetime | None = None) -> tuple[Fact, ...]:
    """The facts of the human whom this person represents. A person that is merged into another has only its own."""
    others = [found[alias] for alias in ever_aliases(person.identities)]
    known = (*statements_of(person.statements), *statements_of_others(person.identities, others))
    return facts_known_at(statements_counting(known, person.identities, known_at), known_at)


def human_of(person: Person, found: Mapping[str, Person], known_at: datetime | None = None) -> tuple[Person, list[str]]:
    """The person that survives the merge, and the ids of all persons of the same human, itself included."""
    survivor = found[identity_known_at(person.identities, known_at).merged_into or person.person_id]
    return survivor, [survivor.person_id, *identity_known_at(survivor.identities, known_at).aliases]


def areas_of(facts: Sequence[Fact], day: date, division: str | None) -> list[str]:
    """The divisions of residence and hukou on a day. If no fact gives one, `division`: the newest confirmed place.

    A claimed place gives no access.
    """
    valid = [fact for fact in facts if fact.standing != "claimed" and fact.holds_on(day)]
    found = [place for fact in valid if (place := _place(fact)) is not None]
    return found or ([division] if division else [])


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
    """The id of the event whose value of this kind holds on a day."""
    return next((fact.event_id for fact in facts if fact.kind == kind and fact.holds_on(day)), None)


async def load_values(connection: Any, event_ids: Collection[str]) -> dict[str, PopulationValue | None]:
    """The decrypted values of these events, by event id."""
    sealed = await store.load_sealed(connection, event_ids)
    return {event_id: reopen(vault().open(body, event_id.encode())).value for event_id, body in sealed.items()}


async def load_identities(
    connection: Any, persons: Sequence[Person], found: Mapping[str, Person], fields: Sequence[str]
) -> dict[tuple[str, str], str]:
    """Decrypted fields of the vault by (person_id, field). For a merged person: the ID number in use now, and the name
    reported last under any number."""
    holders = {person.person_id: _holders(person, found, fields) for person in persons}
    holder_ids = {holder for of_person in holders.values() for holder in of_person.values()}
    opened = await _load_opened(connection, sorted(holder_ids), fields)
    values = {}
    for person_id, of_person in holders.items():
        for field, holder in of_person.items():
            if (holder, field) in opened:
                values[person_id, field] = opened[holder, field]
    return values


async def _load_opened(connection: Any, person_ids: Sequence[str], fields: Sequence[str]) -> dict[tuple[str, str], str]:
    """The decrypted rows of the vault, by (person_id, field)."""
    opened = {}
    for person_id, field, sealed in await store.load_vault(connection, person_ids, fields):
        opened[person_id, field] = vault().open(sealed, f"{person_id}/{field}".encode()).decode()
    return opened


def _holders(person: Person, found: Mapping[str, Person], fields: Sequence[str]) -> dict[str, str]:
    """For each field the id of the person whose vault row holds it."""
    survivor, ids = human_of(person, found)
    if len(ids) == 1:
        return dict.fromkeys(fields, person.person_id)
    links = links_known_at({p: identity_statements(found[p].statements) for p in ids})
    number = number_in_use(survivor.person_id, ids, links)
    named_last = _named_last([found[p] for p in ids]).person_id
    return {field: number if field == "id_number" else named_last for field in fields}


def _named_last(persons: Sequence[Person]) -> Person:
    """The person with the newest name; the digest makes the choice definite at equal times."""
    return max(persons, key=lambda person: (person.memory.name_at, person.memory.name_digest))


def fact_json(fact: Fact) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(fact)  # a named tuple becomes a list
    return dict(zip(Fact._fields, built, strict=True))
