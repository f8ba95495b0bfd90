"""Every SQL statement of records on Kafka whose sender is unknown."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from shell.store.transaction import Tx

Key = tuple[date, str, str, str]  # day, topic, claimed source, reason


async def count_parked(tx: Tx, day: date, topics: Collection[str]) -> dict[str, int]:
    """How many records of each topic were parked on that day."""
    rows = await tx.sql.fetch(
        "SELECT topic, sum(parked)::bigint FROM unverified WHERE day = $1 AND topic = ANY($2::text[]) GROUP BY topic",
        day,
        list(topics),
    )
    return dict.fromkeys(topics, 0) | {row[0]: row[1] for row in rows}


async def add_counts(tx: Tx, counts: Sequence[tuple[date, str, str, str, int, int]]) -> None:
    """(day, topic, claimed source, reason, records, parked), sorted and each key once."""
    await tx.sql.execute(
        """INSERT INTO unverified AS u (day, topic, source, reason, records, parked)
           SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
           ON CONFLICT (day, topic, source, reason) DO UPDATE
             SET records = u.records + excluded.records, parked = u.parked + excluded.parked""",
        *[list(column) for column in zip(*counts, strict=True)],
    )


async def list_counts(
    connection: Any, sources: Sequence[str], since: date, until: date, after: Key | None, limit: int
) -> list[Any]:
    """day, topic, source, reason, records, parked of these claimed sources, in this order."""
    rows: list[Any] = await connection.fetch(
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
    return rows


async def delete_before(tx: Tx, day: date, limit: int) -> int:
    """How many old counts were deleted, at most `limit`."""
    rows = await tx.sql.fetch(
        """DELETE FROM unverified WHERE (day, topic, source, reason) IN
             (SELECT day, topic, source, reason FROM unverified WHERE day < $1 LIMIT $2) RETURNING 1""",
        day,
        limit,
    )
    return len(rows)
