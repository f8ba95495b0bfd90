"""SQL of identities, the vault, persons, households and received events. Each statement serves a whole batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.events.facts import Identity
from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.domain.chains import Known
from ingestion.domain.completeness import count_events
from ingestion.domain.household import State
from ingestion.domain.identity import ever_aliases
from ingestion.domain.person import Memory, Person
from ingestion.domain.pushed import Pushed
from ingestion.tables import IdentityRow, VaultRow

_memory = msgspec.msgpack.Decoder(Memory)
_state = msgspec.json.Decoder(State)
_identities = msgspec.json.Decoder(tuple[Identity, ...])
_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_PERSON: Final = "person_id, version, recorded_at, division, waiting, statements, memory, circle, identities"
_PERSONS_BY_ID: Final = f"SELECT {_PERSON} FROM persons WHERE person_id = ANY($1::uuid[])"  # noqa: S608
_PERSONS_BY_CIRCLE: Final = f"SELECT {_PERSON} FROM persons WHERE circle = ANY($1::uuid[])"  # noqa: S608
_LOCK_PERSONS: Final = f"{_PERSONS_BY_ID} ORDER BY person_id FOR UPDATE"


# ── identities and the vault ────────────────────────────────────────────────────────────────────────────────


class Identified(NamedTuple):
    person_id: str
    circle: str | None


async def load_identities(tx: Tx, indexes: Collection[bytes]) -> dict[bytes, Identified]:
    """Person and circle by blind index. (A join may be planned as a scan of all persons; a subquery is one lookup.)"""
    rows = await tx.sql.fetch(
        """SELECT blind_index, person_id, (SELECT circle FROM persons p WHERE p.person_id = i.person_id)
           FROM identities i WHERE blind_index = ANY($1::bytea[])""",
        list(indexes),
    )
    return {index: Identified(person_id, circle) for index, person_id, circle in rows}


async def list_identities(connection: Any, indexes: Sequence[bytes]) -> dict[bytes, str]:
    """Person ids by blind index."""
    rows = await connection.fetch(
        "SELECT blind_index, person_id FROM identities WHERE blind_index = ANY($1::bytea[])", list(indexes)
    )
    return dict(map(tuple, rows))


async def insert_identities(tx: Tx, rows: Sequence[tuple[bytes, str]]) -> set[bytes]:
    """Insert blind indexes with their person ids. Returns the new indexes.

    Another writer has meanwhile inserted the others, with the same person ids."""
    return await bulk.insert_new(tx, IdentityRow, ("blind_index", "person_id"), sorted(rows), returning="blind_index")


async def insert_persons(tx: Tx, person_ids: Iterable[str]) -> None:
    await tx.sql.execute(
        "INSERT INTO persons (person_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", sorted(person_ids)
    )


class Sealed(NamedTuple):
    """A row of the vault. `sealed`: the encrypted field."""

    person_id: str
    field: str
    sealed: bytes

    @property
    def key(self) -> tuple[str, str]:
        return self.person_id, self.field


async def upsert_vault(tx: Tx, rows: Sequence[Sealed]) -> None:
    await bulk.upsert(tx, VaultRow, Sealed._fields, rows, key=("person_id", "field"))


async def remove_names(tx: Tx, person_ids: Sequence[str]) -> None:
    """Remove the names of these persons from the vault."""
    if person_ids:
        await tx.sql.execute("DELETE FROM vault WHERE field = 'name' AND person_id = ANY($1::uuid[])", list(person_ids))


async def load_vault(connection: Any, person_ids: Sequence[str], fields: Sequence[str]) -> list[Sealed]:
    rows = await connection.fetch(
        "SELECT person_id, field, sealed FROM vault WHERE person_id = ANY($1::uuid[]) AND field = ANY($2::text[])",
        list(person_ids),
        list(fields),
    )
    return [Sealed(*row) for row in rows]


# ── persons and households ──────────────────────────────────────────────────────────────────────────────────


async def lock_persons(tx: Tx, person_ids: Collection[str]) -> dict[str, Person]:
    """Persons by id, locked in the order of their ids, so that writers never deadlock."""
    return _by_id(await tx.sql.fetch(_LOCK_PERSONS, list(person_ids)))


def _by_id(rows: Iterable[Any]) -> dict[str, Person]:
    """Persons by id, from rows with the columns _PERSON."""
    return {row[0]: _person(*row) for row in rows}


def _person(
    person_id: str,
    version: int,
    recorded_at: datetime | None,
    division: str | None,
    waiting: int,
    statements: bytes,
    memory: bytes,
    circle: str | None,
    identities: bytes,
) -> Person:
    remembered = _memory.decode(memory) if memory else Memory()
    known = _identities.decode(identities) if identities else ()
    return Person(person_id, version, recorded_at, division, waiting, statements, remembered, circle, known)


async def load_circles(tx: Tx, circles: Collection[str]) -> set[str]:
    """Ids of all persons in these circles."""
    if not circles:
        return set()
    rows = await tx.sql.fetch("SELECT person_id FROM persons WHERE circle = ANY($1::uuid[])", list(circles))
    return {row[0] for row in rows}


async def load_persons(connection: Any, person_ids: Collection[str]) -> dict[str, Person]:
    """The persons that exist, and all persons of their circles, each with its `others`."""
    found = _by_id(await connection.fetch(_PERSONS_BY_ID, list(person_ids)))
    circles = {person.circle for person in found.values() if person.circle is not None}
    if circles:
        found |= _by_id(await connection.fetch(_PERSONS_BY_CIRCLE, list(circles)))
        for person in found.values():
            person.others = [found[alias] for alias in ever_aliases(person.identities)]
    return found


async def save_circles(tx: Tx, persons: Sequence[Person]) -> None:
    """Save the circles and identities of these persons."""
    if persons:
        await tx.sql.execute(
            """UPDATE persons p SET circle = u.circle, merged_into = u.merged_into, identities = u.identities
               FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
                 AS u(person_id, circle, merged_into, identities)
               WHERE p.person_id = u.person_id""",
            [p.person_id for p in persons],
            [p.circle for p in persons],
            [p.merged_into for p in persons],
            [_json(p.identities) if p.identities else b"" for p in persons],
        )


async def save_persons(tx: Tx, persons: Sequence[Person]) -> None:
    if not persons:
        return
    await tx.sql.execute(
        """UPDATE persons p SET version = u.version, recorded_at = u.recorded_at, division = u.division,
                  waiting = u.waiting, statements = u.statements, memory = u.memory
           FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[], $5::int[], $6::bytea[], $7::bytea[])
             AS u(person_id, version, recorded_at, division, waiting, statements, memory)
           WHERE p.person_id = u.person_id""",
        [p.person_id for p in persons],
        [p.version for p in persons],
        [p.recorded_at for p in persons],
        [p.division for p in persons],
        [p.waiting for p in persons],
        [p.statements for p in persons],
        [_pack(p.memory) for p in persons],
    )


async def lock_households(tx: Tx, households: Collection[str]) -> dict[str, State]:
    """Households by id, locked in the order of their ids. A missing household is created, so that it can be locked."""
    if not households:
        return {}
    ordered = sorted(households)
    await tx.sql.execute("INSERT INTO households (household) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", ordered)
    rows = await tx.sql.fetch(
        "SELECT household, state FROM households WHERE household = ANY($1::uuid[]) ORDER BY household FOR UPDATE",
        ordered,
    )
    return {household: _household(state) for household, state in rows}


async def load_households(tx: Tx, households: Collection[str]) -> dict[str, State]:
    """Households by id, without a lock."""
    if not households:
        return {}
    rows = await tx.sql.fetch(
        "SELECT household, state FROM households WHERE household = ANY($1::uuid[])", list(households)
    )
    return {household: _household(state) for household, state in rows}


def _household(state: bytes) -> State:
    return _state.decode(state) if state else State()


async def save_households(tx: Tx, states: Mapping[str, State]) -> None:
    if states:
        await tx.sql.execute(
            """UPDATE households h SET state = u.state FROM unnest($1::uuid[], $2::bytea[]) AS u(household, state)
               WHERE h.household = u.household""",
            list(states),
            [_json(state) for state in states.values()],
        )


# ── received events ─────────────────────────────────────────────────────────────────────────────────────────


async def load_known(tx: Tx, event_ids: Collection[str]) -> dict[str, Known]:
    if not event_ids:
        return {}
    rows = await tx.sql.fetch(
        """SELECT event_id, digest, kind, person_id, chain, household, status = 'parked' FROM received
           WHERE event_id = ANY($1::uuid[])""",
        list(event_ids),
    )
    return {r[0]: Known(*r[1:]) for r in map(tuple, rows)}


class NewEvent(NamedTuple):
    """An event to store. `person_id`: the person with whom its chain began. `status`: `applied`, `quarantined`, or
    `parked` (withdrawn by its source before it counted)."""

    pushed: Pushed
    person_id: str
    chain: str | None
    household: str | None
    sealed: bytes
    status: str


_INSERT_RECEIVED: Final = """
WITH counted AS (INSERT INTO tallies (at, entries) VALUES ($11, $12))
INSERT INTO received (event_id, source, kind, day, status, person_id, chain, household, digest, sealed, recorded_at)
SELECT u.*, $11 FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::date[], $5::text[], $6::text[]::uuid[],
                            $7::text[]::uuid[], $8::text[]::uuid[], $9::bytea[], $10::bytea[]) AS u
ON CONFLICT DO NOTHING RETURNING event_id
"""


async def insert_received(tx: Tx, events: Sequence[NewEvent], instant: datetime) -> set[str]:
    """Store events and count them for the daily totals of their sources. Returns the event ids that were new.

    All `events` are counted as new: if one was not, do not commit."""
    if not events:
        return set()
    ordered = sorted(events, key=lambda e: e.pushed.event_id)
    pushed = [e.pushed for e in ordered]
    tallies = count_events(((p.source.urn, p.day, p.kind), p.id) for p in pushed)
    rows = await tx.sql.fetch(
        _INSERT_RECEIVED,
        [p.event_id for p in pushed],
        [p.source.urn for p in pushed],
        [p.kind for p in pushed],
        [p.day for p in pushed],
        [e.status for e in ordered],
        [e.person_id for e in ordered],
        [e.chain for e in ordered],
        [e.household for e in ordered],
        [p.digest for p in pushed],
        [e.sealed for e in ordered],
        instant,
        _pack(tallies),
    )
    return {row[0] for row in rows}


async def load_sealed(connection: Any, event_ids: Collection[str]) -> dict[str, bytes]:
    """The sealed events by id."""
    if not event_ids:
        return {}
    rows = await connection.fetch(
        "SELECT event_id, sealed FROM received WHERE event_id = ANY($1::uuid[])", list(event_ids)
    )
    return dict(map(tuple, rows))
