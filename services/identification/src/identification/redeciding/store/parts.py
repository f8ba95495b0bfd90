"""SQL of redecisions: the people whom a publication touches, divided into parts, and the progress."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from rules.form.policy import NATION
from shell.store.transaction import Tx

from identification.lists.store.publications import SetId

PART_MAX: Final = 500  # people; a constraint of the table has the same limit
_SELECTING: Final = "SELECT pg_try_advisory_xact_lock(hashtext('identification.selecting'))"
# The index finds each distinct line of traits in one step, however many people share the line.
_LINES: Final = """
WITH RECURSIVE lines AS (
  (SELECT traits, 1 AS n FROM persons WHERE traits > $1 ORDER BY traits LIMIT 1)
  UNION ALL
  SELECT (SELECT p.traits FROM persons p WHERE p.traits > lines.traits ORDER BY p.traits LIMIT 1), n + 1
  FROM lines WHERE lines.traits IS NOT NULL AND n < $2)
SELECT traits FROM lines WHERE traits IS NOT NULL ORDER BY traits
"""
_ADD: Final = """
WITH touched AS MATERIALIZED (
  SELECT person_id FROM persons WHERE traits = ANY($2::text[])),
parts AS (
  INSERT INTO redecisions (publication, people_ids, people, people_changed)
  SELECT $1, array_agg(person_id), 0, 0
  FROM (SELECT person_id, (row_number() OVER () - 1) / $3::int AS n FROM touched) AS numbered GROUP BY n)
SELECT count(*) FROM touched
"""
_PROGRESS: Final = """
SELECT p.version, p.jurisdiction, p.published_at, p.people_touched, p.selected_at,
  CASE WHEN p.redecided_at IS NULL THEN r.people ELSE p.people END AS people,
  CASE WHEN p.redecided_at IS NULL THEN r.people_changed ELSE p.people_changed END AS people_changed,
  p.redecided_at
FROM publications p CROSS JOIN LATERAL (
  SELECT coalesce(sum(people), 0)::int AS people, coalesce(sum(people_changed), 0)::int AS people_changed
  FROM redecisions WHERE publication = p.seq AND p.redecided_at IS NULL) AS r
WHERE p.version = $1 ORDER BY p.seq DESC LIMIT 1
"""


class Selection(NamedTuple):
    """A publication whose touched people are not all found yet. `after`: the last line of traits examined."""

    before: SetId
    current: SetId
    after: str | None


class Part(NamedTuple):
    """People to decide again. `publication`: its `seq`. `event_id`: of the event that published the list."""

    part: int
    publication: int
    people_ids: list[str]
    event_id: str


class Progress(NamedTuple):
    """The progress of a publication: counts of people and times (see `PublicationRow`)."""

    version: str
    jurisdiction: str
    published_at: datetime
    people_touched: int
    selected_at: datetime | None
    people: int
    people_changed: int
    redecided_at: datetime | None


class OpenRedecision(NamedTuple):
    """A publication whose people are not all decided again. `version`: "coverage" for a change of coverage, which may
    touch people anywhere in the nation."""

    jurisdiction: str
    version: str


async def next_selection(tx: Tx) -> Selection | None:
    """Lock and return the oldest publication whose people are not all found. None also if another process has it."""
    if not await tx.sql.fetchval(_SELECTING):
        return None
    row = await tx.sql.fetchrow(
        """SELECT coalesce(b.seq, 0) AS seq_before, coalesce(b.running_digest, '') AS digest_before,
             p.seq, p.running_digest, p.selected_after
           FROM publications p LEFT JOIN publications b ON b.seq = p.seq - 1
           WHERE p.redecided_at IS NULL AND p.selected_at IS NULL ORDER BY p.seq LIMIT 1"""
    )
    return Selection(SetId(row[0], row[1]), SetId(row[2], row[3]), row[4]) if row else None


async def list_traits_after(tx: Tx, after: str, limit: int) -> list[str]:
    """Return the distinct lines of traits above the line `after`, sorted, at most `limit`."""
    return [row[0] for row in await tx.sql.fetch(_LINES, after, limit)]


async def add_parts(tx: Tx, seq: int, lines: Sequence[str]) -> int:
    """Add all people of these traits to the publication `seq`; returns their number."""
    found: int = await tx.sql.fetchval(_ADD, seq, lines, PART_MAX) if lines else 0
    return found


async def move_selection(tx: Tx, seq: int, *, after: str | None, touched: int, done_at: datetime | None) -> None:
    """Store the progress of a selection. `after`: the last line examined. `touched`: how many more people are found."""
    await tx.sql.execute(
        """UPDATE publications SET selected_after = coalesce($2, selected_after), selected_at = $4,
             people_touched = people_touched + $3 WHERE seq = $1""",
        seq,
        after,
        touched,
        done_at,
    )


async def take_part(tx: Tx) -> Part | None:
    """Lock and return the oldest part that no other process works on; None: no such part."""
    row = await tx.sql.fetchrow(
        """SELECT r.part, r.publication, r.people_ids, p.event_id
           FROM redecisions r JOIN publications p ON p.seq = r.publication
           WHERE cardinality(r.people_ids) > 0 ORDER BY r.part LIMIT 1 FOR UPDATE OF r SKIP LOCKED"""
    )
    return Part._make(row) if row else None


async def move_part(tx: Tx, part: int, *, left: Sequence[str], people: int, people_changed: int) -> None:
    """Store the progress of a part. `left`: people still to decide. `people`, `people_changed`: how many are added."""
    await tx.sql.execute(
        """UPDATE redecisions SET people_ids = $2, people = people + $3, people_changed = people_changed + $4
           WHERE part = $1""",
        part,
        left,
        people,
        people_changed,
    )


async def close_done(tx: Tx, done_at: datetime) -> None:
    """Close publications whose people are all found and decided: sums replace their parts."""
    closed = await tx.sql.fetch(
        """UPDATE publications p SET redecided_at = $1, people = r.people, people_changed = r.people_changed
           FROM (SELECT seq, coalesce(sum(r.people), 0) AS people, coalesce(sum(r.people_changed), 0) AS people_changed
                 FROM publications LEFT JOIN redecisions r ON r.publication = seq
                 WHERE redecided_at IS NULL AND selected_at IS NOT NULL GROUP BY seq
                 HAVING coalesce(sum(cardinality(r.people_ids)), 0) = 0) AS r
           WHERE p.seq = r.seq AND p.redecided_at IS NULL RETURNING p.seq""",
        done_at,
    )
    if closed:
        await tx.sql.execute(
            "DELETE FROM redecisions WHERE publication = ANY($1::bigint[])", [row[0] for row in closed]
        )


async def open_redecisions(connection: asyncpg.Connection) -> list[OpenRedecision]:
    """Return publications whose people are not all decided again, oldest first, at most 100."""
    rows = await connection.fetch(
        """SELECT coalesce(jurisdiction, $1), coalesce(version, 'coverage') FROM publications
           WHERE redecided_at IS NULL ORDER BY seq LIMIT 100""",
        NATION,
    )
    return [OpenRedecision._make(row) for row in rows]


async def load_progress(connection: asyncpg.Connection, version: str) -> Progress | None:
    """Return the progress of the newest publication of a version; None: it was never published."""
    row = await connection.fetchrow(_PROGRESS, version)
    return Progress._make(row) if row else None
