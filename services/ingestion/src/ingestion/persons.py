"""A person as officers see them: facts of a day, the areas that may look, the masked identity."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from common.auth import Caller
from common.events.facts import Kind, Registration, Residence
from common.events.population import PopulationValue
from common.privacy import vault
from rules.timeline import Fact, facts_known_at

from ingestion.domain.person import statements_of
from ingestion.reading import reopen
from ingestion.store import statements as store


def facts_of(joined: bytes, known_at: datetime | None = None) -> tuple[Fact, ...]:
    return facts_known_at(statements_of(joined), known_at)


def areas_of(facts: Sequence[Fact], day: date, division: str | None) -> list[str]:
    """Where the person lives and is registered on a day; without facts of that day, where they were last said to."""
    found = []
    for fact in facts:
        if fact.holds_on(day) and isinstance(fact.value, Residence):
            found.append(fact.value.division)
        elif fact.holds_on(day) and isinstance(fact.value, Registration):
            found.append(fact.value.hukou_division)
    return found or ([division] if division else [])


def may_see(caller: Caller, areas: Sequence[str]) -> bool:
    """One of the person's areas is enough: hukou and residence often differ, and both offices serve them."""
    return any(caller.may_see(area) for area in areas) or (not areas and caller.may_see(None))


def event_of(facts: Sequence[Fact], kind: Kind, day: date) -> str | None:
    """The event that gave the value of a kind on a day."""
    return next((f.event_id for f in facts if f.kind == kind and f.holds_on(day)), None)


async def values(connection: Any, event_ids: Collection[str]) -> dict[str, PopulationValue | None]:
    """What these events said, opened."""
    sealed = await store.load_sealed(connection, event_ids)
    return {event_id: reopen(vault().open(blob, event_id.encode())).value for event_id, blob in sealed.items()}


async def identities(connection: Any, person_ids: Sequence[str], fields: Sequence[str]) -> dict[tuple[str, str], str]:
    """Opened fields of the vault by (person_id, field)."""
    opened = {}
    for person_id, field, sealed in await store.load_vault(connection, person_ids, fields):
        opened[person_id, field] = vault().open(sealed, f"{person_id}/{field}".encode()).decode()
    return opened


def told(fact: Fact) -> dict[str, Any]:
    """A fact as JSON."""
    built: dict[str, Any] = msgspec.to_builtins(fact)  # a named tuple becomes a list
    return dict(zip(Fact._fields, built, strict=True))
