"""Every SQL statement about people and their decisions. Set-based: one statement per batch, never one per person."""

from collections.abc import Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any

import asyncpg
from shell.store import bulk
from shell.store.transaction import Tx

from identification.deciding.domain.decision import Person
from identification.tables import DecisionRow, PersonRow

_COLUMNS = Person._fields
_LISTED = ", ".join(_COLUMNS)
_LISTED_WITHOUT_FACTS = ", ".join("NULL::bytea" if column == "facts" else column for column in _COLUMNS)
_DECISION = (
    "person_id",
    "version",
    "decided_at",
    "recorded_at",
    "facts_version",
    "abilities_version",
    "policy_digest",
    "said",
)
DAILY_EDGE = "daily_edge"


async def lock_people(tx: Tx, person_ids: Sequence[str], *, without_facts: bool = False) -> dict[str, Person]:
    """Those of them that are stored. In the order of their ids, so that two batches cannot deadlock.

    `without_facts`: when new facts are there to take their place, the old ones need not travel."""
    listed = _LISTED_WITHOUT_FACTS if without_facts else _LISTED
    rows = await tx.sql.fetch(
        f"SELECT {listed} FROM persons WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR NO KEY UPDATE",  # noqa: S608
        sorted(person_ids),
    )
    return {row[0]: Person._make(row) for row in rows}


async def load_survivors(tx: Tx, person_ids: Sequence[str]) -> dict[str, str]:
    """Who decides for those of them that are merged into somebody."""
    rows = await tx.sql.fetch(
        "SELECT person_id, merged_into FROM persons WHERE person_id = ANY($1::uuid[]) AND merged_into IS NOT NULL",
        person_ids,
    )
    return {row[0]: row[1] for row in rows}


async def insert_people(tx: Tx, people: Sequence[Person]) -> set[str]:
    """The ids of those who were not there; somebody else has just stored the others."""
    ordered = sorted(people, key=lambda person: person.person_id)
    return await bulk.insert_new(tx, PersonRow, _COLUMNS, ordered, returning="person_id")


async def update_decided(tx: Tx, people: Sequence[Person]) -> None:
    """Replace the whole rows of people that are locked."""
    await bulk.update(tx, PersonRow, _COLUMNS, people, key=("person_id",))


_INPUTS = (
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


async def update_inputs(tx: Tx, people: Sequence[Person]) -> None:
    """New inputs of locked people whose decision they do not change."""
    await bulk.update(tx, PersonRow, _INPUTS, [_inputs(person) for person in people], key=("person_id",))


async def append_decisions(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
    """`rows`: (person_id, version, decided_at, recorded_at, facts_version, abilities_version, policy_digest, said)."""
    await bulk.insert(tx, DecisionRow, _DECISION, rows)


async def load_person(connection: asyncpg.Connection, person_id: str) -> Person | None:
    row = await connection.fetchrow(f"SELECT {_LISTED} FROM persons WHERE person_id = $1", person_id)  # noqa: S608
    return Person._make(row) if row else None


async def version_known_at(connection: asyncpg.Connection, person_id: str, known_at: datetime) -> int:
    """The version of the decision that was the newest when nothing later than `known_at` had been learnt."""
    found: int | None = await connection.fetchval(
        "SELECT max(version) FROM decisions WHERE person_id = $1 AND recorded_at <= $2", person_id, known_at
    )
    return found or 0


async def list_people_after(connection: asyncpg.Connection, after: str | None, limit: int) -> list[Person]:
    rows = await connection.fetch(
        f"SELECT {_LISTED} FROM persons WHERE $1::uuid IS NULL OR person_id > $1 ORDER BY person_id LIMIT $2",  # noqa: S608
        after,
        limit,
    )
    return [Person._make(row) for row in rows]


async def load_decided_otherwise(tx: Tx, person_ids: Sequence[str], digest: str) -> list[Person]:
    """Those who have a decision that was not made by these lists; nothing is locked."""
    rows = await tx.sql.fetch(
        f"""SELECT {_LISTED} FROM persons
           WHERE person_id = ANY($1::uuid[]) AND decision IS NOT NULL AND policy_digest <> $2""",  # noqa: S608
        person_ids,
        digest,
    )
    return [Person._make(row) for row in rows]


_MARK = ("version", "facts_version", "abilities_version", "recorded_at", "next_edge_on", "policy_digest")
mark_of = attrgetter(*_MARK)  # of a person: differs whenever anything else of the row does


async def lock_marks(tx: Tx, person_ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """`mark_of` each person, locked in the order of the ids, so that two batches cannot deadlock."""
    if not person_ids:
        return {}
    rows = await tx.sql.fetch(
        f"""SELECT person_id, {", ".join(_MARK)} FROM persons WHERE person_id = ANY($1::uuid[])
           ORDER BY person_id FOR NO KEY UPDATE""",  # noqa: S608
        person_ids,
    )
    return {row[0]: tuple(row)[1:] for row in rows}


async def next_edge_day(connection: asyncpg.Connection) -> tuple[date | None, str | None]:
    """The first day with an untold edge, and the day up to which the job has come (`YYYY-MM-DD`)."""
    row = await connection.fetchrow(
        "SELECT (SELECT min(next_edge_on) FROM persons), (SELECT mark FROM job_marks WHERE job = $1)", DAILY_EDGE
    )
    return row[0], row[1]


async def lock_people_with_edge(tx: Tx, day: date, limit: int) -> list[Person]:
    rows = await tx.sql.fetch(
        f"""SELECT {_LISTED} FROM persons WHERE next_edge_on = $1 ORDER BY person_id LIMIT $2
            FOR NO KEY UPDATE""",  # noqa: S608
        day,
        limit,
    )
    return [Person._make(row) for row in rows]


async def move_edges(tx: Tx, moved: Sequence[tuple[str, date | None]]) -> None:
    """(person_id, next_edge_on) of locked people."""
    if moved:
        await tx.sql.execute(
            """UPDATE persons SET next_edge_on = n.day FROM unnest($1::uuid[], $2::date[]) AS n (person_id, day)
               WHERE persons.person_id = n.person_id""",
            [person_id for person_id, _ in moved],
            [day for _, day in moved],
        )


async def mark_day(tx: Tx, day: date) -> None:
    await tx.sql.execute(
        """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
           ON CONFLICT (job) DO UPDATE SET mark = excluded.mark, moved_at = now()""",
        DAILY_EDGE,
        day.isoformat(),
    )


async def list_traits_between(
    connection: asyncpg.Connection, after: str | None, upto: str | None, limit: int
) -> list[tuple[str, str | None]]:
    """(person_id, traits) of ids above `after` up to `upto` (None: without bound), in their order."""
    rows = await connection.fetch(
        """SELECT person_id, traits FROM persons
           WHERE ($1::uuid IS NULL OR person_id > $1) AND ($2::uuid IS NULL OR person_id <= $2)
           ORDER BY person_id LIMIT $3""",
        after,
        upto,
        limit,
    )
    return [tuple(row) for row in rows]


async def load_people(
    connection: asyncpg.Connection, person_ids: Sequence[str], *, without_facts: bool = False
) -> list[Person]:
    """For reading, in no order."""
    listed = _LISTED_WITHOUT_FACTS if without_facts else _LISTED
    rows = await connection.fetch(
        f"SELECT {listed} FROM persons WHERE person_id = ANY($1::uuid[])",  # noqa: S608
        person_ids,
    )
    return [Person._make(row) for row in rows]
