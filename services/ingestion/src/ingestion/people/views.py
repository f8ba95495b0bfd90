"""A person as officers see them: facts of a day, the areas that may look, the masked identity."""

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
    """What was true of the human whom this person stands for, or of this person alone where another answers for them.
    `found`: with everybody of the person's circle (`load_persons`)."""
    others = statements_of_others(person.identities, [found[a] for a in ever_aliases(person.identities)])
    said = (*statements_of(person.statements), *others)
    return facts_known_at(statements_counting(said, person.identities, known_at), known_at)


def human_of(person: Person, found: Mapping[str, Person], known_at: datetime | None = None) -> tuple[Person, list[str]]:
    """The survivor and the ids of everybody who is the same human with it, itself included."""
    survivor = found[identity_known_at(person.identities, known_at).merged_into or person.person_id]
    return survivor, [survivor.person_id, *identity_known_at(survivor.identities, known_at).aliases]


def areas_of(facts: Sequence[Fact], day: date, division: str | None) -> list[str]:
    """Where the person lives and is registered on a day; without facts of that day, the newest vouched place. A claimed
    place opens nothing to anybody."""
    found = []
    for fact in facts:
        if fact.standing == "claimed":
            continue
        if fact.holds_on(day) and isinstance(fact.value, Residence):
            found.append(fact.value.division)
        elif fact.holds_on(day) and isinstance(fact.value, Registration) and fact.value.hukou_division is not None:
            found.append(fact.value.hukou_division)
    return found or ([division] if division else [])


def may_see(caller: Caller, areas: Sequence[str]) -> bool:
    """One of the person's areas is enough: hukou and residence often differ, and both offices serve the person. A
    person without a known area is in the scope of the nation alone."""
    scope = scope_of(caller)
    return any(scope.sees(area) for area in areas) or (not areas and scope.sees(None))


def areas_of_human(person: Person, found: Mapping[str, Person], day: date) -> list[str]:
    """The areas of a person, or, for a number under which nothing was said, of the human whose it is."""
    survivor, _ = human_of(person, found)
    own = areas_of(facts_of(person, found), day, person.division)
    return own if survivor is person else [*own, *areas_of(facts_of(survivor, found), day, survivor.division)]


def event_of(facts: Sequence[Fact], kind: Kind, day: date) -> str | None:
    """The event that gave the value of a kind on a day."""
    return next((f.event_id for f in facts if f.kind == kind and f.holds_on(day)), None)


async def values(connection: Any, event_ids: Collection[str]) -> dict[str, PopulationValue | None]:
    """What these events said, opened."""
    sealed = await store.load_sealed(connection, event_ids)
    return {event_id: reopen(vault().open(blob, event_id.encode())).value for event_id, blob in sealed.items()}


async def identities(
    connection: Any, persons: Sequence[Person], found: Mapping[str, Person], fields: Sequence[str]
) -> dict[tuple[str, str], str]:
    """Opened fields of the vault by (person_id, field): of whoever was renumbered the number in use now, and the name
    that was told last under any number."""
    whose: dict[tuple[str, str], str] = {}
    for person in persons:
        survivor, ids = human_of(person, found)
        if len(ids) == 1:
            whose |= {(person.person_id, field): person.person_id for field in fields}
            continue
        links = links_known_at({p: identity_statements(found[p].statements) for p in ids})
        number = number_in_use(survivor.person_id, ids, links)
        name = max((found[p] for p in ids), key=lambda p: (p.memory.name_at, p.memory.name_digest)).person_id
        whose |= {(person.person_id, field): number if field == "id_number" else name for field in fields}
    opened = {}
    for person_id, field, sealed in await store.load_vault(connection, sorted(set(whose.values())), fields):
        opened[person_id, field] = vault().open(sealed, f"{person_id}/{field}".encode()).decode()
    return {key: opened[p, key[1]] for key, p in whose.items() if (p, key[1]) in opened}


def told(fact: Fact) -> dict[str, Any]:
    """A fact as JSON."""
    built: dict[str, Any] = msgspec.to_builtins(fact)  # a named tuple becomes a list
    return dict(zip(Fact._fields, built, strict=True))
