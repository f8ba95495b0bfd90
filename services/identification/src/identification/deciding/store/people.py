"""SQL of people and their decisions: one statement per batch, never one per person."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

import asyncpg
from shell.store import bulk, reads
from shell.store.reads import Select, col, if_given, select
from shell.store.transaction import Tx

from identification.deciding.domain.person import Person
from identification.tables import DecisionRow, PersonRow

_COLUMNS: Final = Person._fields
_LISTED: Final = ", ".join(_COLUMNS)
_LISTED_WITHOUT_FACTS: Final = ", ".join("NULL::bytea" if column == "facts" else column for column in _COLUMNS)
_INPUTS: Final = (
    "person_id",
    "facts_version",
    "abilities_version",
    "recorded_at",
    "traits",
    "policy_digest",
    "facts",
    "abilities",
    "choices",
    "others",
)
_inputs = attrgetter(*_INPUTS)


class DecisionRecord(NamedTuple):
    """A row of `decisions`. `said`: JSON of the event with the changed items only."""

    person_id: str
    version: int
    decided_at: datetime
    recorded_at: datetime
    facts_version: int
    abilities_version: int
    policy_digest: str
    said: bytes


class Mark(NamedTuple):
    """Columns of a person that show whether the row has changed: one of them differs if any other column does."""

    version: int
    facts_version: int
    abilities_version: int
    recorded_at: datetime
    next_edge_on: date | None
    policy_digest: str


class PersonTraits(NamedTuple):
    person_id: str
    traits: str | None


_mark = attrgetter(*Mark._fields)


def _people(rows: Iterable[Any]) -> list[Person]:
    return [Person._make(row) for row in rows]


async def lock_people(tx: Tx, person_ids: Sequence[str], *, without_facts: bool = False) -> dict[str, Person]:
    """Lock the stored people of these ids and return them by id. The order of locks prevents deadlocks.

    `without_facts`: leave out the stored facts, because new facts replace them.
    """
    listed = _LISTED_WITHOUT_FACTS if without_facts else _LISTED
    rows = await tx.sql.fetch(
        f"SELECT {listed} FROM persons WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR NO KEY UPDATE",  # noqa: S608
        sorted(person_ids),
    )
    return {row[0]: Person._make(row) for row in rows}


async def load_people(
    connection: asyncpg.Connection, person_ids: Sequence[str], *, without_facts: bool = False
) -> list[Person]:
    """Return the stored people of these ids, in no order, without locks. `without_facts`: as in `lock_people`."""
    listed = _LISTED_WITHOUT_FACTS if without_facts else _LISTED
    rows = await connection.fetch(
        f"SELECT {listed} FROM persons WHERE person_id = ANY($1::uuid[])",  # noqa: S608
        person_ids,
    )
    return _people(rows)


@reads.row(Person)
def load_person(person_id: str) -> Select[PersonRow]:
    return select(PersonRow).where(PersonRow.person_id == person_id)


@reads.rows(Person)
def list_people_after(after: str | None, limit: int) -> Select[PersonRow]:
    """Return the next people by id. `after`: the last id before; None: from the first person on."""
    return (
        select(PersonRow)
        .where(if_given(after, col(PersonRow.person_id) > after))
        .order_by(PersonRow.person_id)
        .limit(limit)
    )


async def load_survivors(tx: Tx, person_ids: Sequence[str]) -> dict[str, str]:
    """Return the ids of survivors, by id of the merged person."""
    rows = await tx.sql.fetch(
        "SELECT person_id, merged_into FROM persons WHERE person_id = ANY($1::uuid[]) AND merged_into IS NOT NULL",
        person_ids,
    )
    return {row[0]: row[1] for row in rows}


async def insert_people(tx: Tx, people: Sequence[Person]) -> set[str]:
    """Insert new people and return the ids of those that were inserted. Another transaction has stored the others."""
    ordered = sorted(people, key=lambda person: person.person_id)
    return await bulk.insert_new(tx, PersonRow, _COLUMNS, ordered, returning="person_id")


async def update_decided(tx: Tx, people: Sequence[Person]) -> None:
    """Replace the whole rows of locked people."""
    await bulk.update(tx, PersonRow, _COLUMNS, people, key=("person_id",))


async def update_inputs(tx: Tx, people: Sequence[Person]) -> None:
    """Store new inputs of locked people that leave the decision unchanged."""
    await bulk.update(tx, PersonRow, _INPUTS, [_inputs(person) for person in people], key=("person_id",))


async def append_decisions(tx: Tx, records: Sequence[DecisionRecord]) -> None:
    await bulk.insert(tx, DecisionRow, DecisionRecord._fields, records)


async def version_known_at(connection: asyncpg.Connection, person_id: str, known_at: datetime) -> int:
    """Return the version of the newest decision from inputs recorded up to `known_at`; 0 if there is none."""
    found: int | None = await connection.fetchval(
        "SELECT max(version) FROM decisions WHERE person_id = $1 AND recorded_at <= $2", person_id, known_at
    )
    return found or 0


async def load_decided_otherwise(tx: Tx, person_ids: Sequence[str], digest: str) -> list[Person]:
    """Return those people whose decision was made by another set of lists than `digest`, without locks."""
    rows = await tx.sql.fetch(
        f"""SELECT {_LISTED} FROM persons
           WHERE person_id = ANY($1::uuid[]) AND decision IS NOT NULL AND policy_digest <> $2""",  # noqa: S608
        person_ids,
        digest,
    )
    return _people(rows)


def mark_of(person: Person) -> Mark:
    return Mark._make(_mark(person))


async def lock_marks(tx: Tx, person_ids: Sequence[str]) -> dict[str, Mark]:
    """Lock people and return their marks by id. The order of locks prevents deadlocks."""
    if not person_ids:
        return {}
    rows = await tx.sql.fetch(
        f"""SELECT {", ".join(Mark._fields)}, person_id FROM persons WHERE person_id = ANY($1::uuid[])
           ORDER BY person_id FOR NO KEY UPDATE""",  # noqa: S608
        person_ids,
    )
    found: dict[str, Mark] = {}
    for *mark, person_id in rows:
        found[person_id] = Mark._make(mark)
    return found


@reads.rows(PersonTraits)
def list_traits_between(after: str | None, upto: str | None, limit: int) -> Select[PersonRow]:
    """Return ids and traits of people with ids above `after` up to `upto` (None: without bound), sorted by id."""
    return (
        select(PersonRow)
        .where(
            if_given(after, col(PersonRow.person_id) > after),
            if_given(upto, col(PersonRow.person_id) <= upto),
        )
        .order_by(PersonRow.person_id)
        .limit(limit)
    )
