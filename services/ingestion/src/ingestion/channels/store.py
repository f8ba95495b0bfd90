"""Every SQL statement of Kafka records whose sender is unknown."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, NamedTuple

from shell.store.transaction import Tx


class Key(NamedTuple):
    """The key of one count. `source`: the source that the records claim, or `unknown`."""

    day: date
    topic: str
    source: str
    reason: str


class Count(NamedTuple):
    """The number of records with one key. `parked`: how many of `records` are kept."""

    day: date
    topic: str
    source: str
    reason: str
    records: int
    parked: int


async def count_parked(tx: Tx, day: date, topics: Collection[str]) -> dict[str, int]:
    """The number of parked records of a day, by topic; 0 for a topic without one."""
    rows = await tx.sql.fetch(
        "SELECT topic, sum(parked)::bigint FROM unverified WHERE day = $1 AND topic = ANY($2::text[]) GROUP BY topic",
        day,
        list(topics),
    )
    return dict.fromkeys(topics, 0) | {row[0]: row[1] for row in rows}


async def add_counts(tx: Tx, counts: Sequence[Count]) -> None:
    """Add to the stored counts. `counts`: sorted, each key once."""
    await tx.sql.execute(
        """INSERT INTO unverified AS u (day, topic, source, reason, records, parked)
           SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
           ON CONFLICT (day, topic, source, reason) DO UPDATE
             SET records = u.records + excluded.records, parked = u.parked + excluded.parked""",
        *[list(column) for column in zip(*counts, strict=True)],
    )


async def list_counts(
    connection: Any, sources: Sequence[str], since: date, until: date, after: Key | None, limit: int
) -> list[Count]:
    """A page of the counts of these claimed sources, in the order of their keys."""
    rows = await connection.fetch(
        """SELECT day, topic, source, reason, records, parked FROM unverified
           WHERE source = ANY($1::text[]) AND day BETWEEN $2 AND $3
             AND ($4::date IS NULL OR (day, topic, source, reason) > ($4, $5::text, $6::text, $7::text))
           ORDER BY day, topic, source, reason LIMIT $8""",
        sources,
        since,
        until,
        *(after or (None, None, None, None)),
        limit,
    )
    return [Count(*row) for row in rows]


async def delete_before(tx: Tx, day: date, limit: int) -> int:
    """Delete at most `limit` counts of earlier days; returns how many."""
    rows = await tx.sql.fetch(
        """DELETE FROM unverified WHERE (day, topic, source, reason) IN
             (SELECT day, topic, source, reason FROM unverified WHERE day < $1 LIMIT $2) RETURNING 1""",
        day,
        limit,
    )
    return len(rows)
