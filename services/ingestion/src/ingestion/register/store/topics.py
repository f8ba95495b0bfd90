"""Every SQL statement of the topics that sources own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shell.store import reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from ingestion.register.tables import SourceTopicRow


class Topic(NamedTuple):
    """The creation of a source's topic. `tries`: failed ones; `opened_at` is None until the topic exists."""

    tries: int
    try_at: datetime
    problem: str | None
    opened_at: datetime | None


async def list_due(connection: Any, wanted: Sequence[str], at: datetime, limit: int) -> dict[str, int]:
    """Sources of `wanted` whose topic must be created now, with the number of failed tries."""
    rows = await connection.fetch(
        """SELECT w.source, coalesce(t.tries, 0) FROM unnest($1::text[]) AS w(source)
           LEFT JOIN source_topics t USING (source)
           WHERE t.source IS NULL OR (t.opened_at IS NULL AND t.try_at <= $2)
           ORDER BY w.source LIMIT $3""",
        wanted,
        at,
        limit,
    )
    return {row[0]: row[1] for row in rows}


async def save_opened(tx: Tx, urns: Sequence[str], at: datetime) -> None:
    await tx.sql.execute(
        """INSERT INTO source_topics (source, tries, try_at, opened_at) SELECT unnest($1::text[]), 0, $2, $2
           ON CONFLICT (source) DO UPDATE SET tries = 0, problem = NULL, opened_at = excluded.opened_at""",
        sorted(urns),
        at,
    )


async def save_failed(tx: Tx, failed: Mapping[str, tuple[str, datetime]]) -> None:
    """Count failed tries. `failed`: source → (problem, instant of the next try)."""
    urns = sorted(failed)
    await tx.sql.execute(
        """INSERT INTO source_topics AS t (source, tries, try_at, problem)
           SELECT source, 1, try_at, problem
           FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u(source, problem, try_at)
           ON CONFLICT (source) DO UPDATE
             SET tries = t.tries + 1, try_at = excluded.try_at, problem = excluded.problem""",
        urns,
        [failed[urn][0] for urn in urns],
        [failed[urn][1] for urn in urns],
    )


async def count_waiting(connection: Any, wanted: Sequence[str]) -> int:
    """Count the sources of `wanted` whose topic does not exist, although its creation was tried at least once."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM source_topics WHERE opened_at IS NULL AND source = ANY($1::text[])", wanted
    )
    return found


@reads.values
def list_opened(after: str, limit: int) -> Select[str]:
    """A page of sources whose topic was created, in the order of their URN."""
    return (
        select(SourceTopicRow.source)
        .where(col(SourceTopicRow.opened_at).is_not(None), SourceTopicRow.source > after)
        .order_by(SourceTopicRow.source)
        .limit(limit)
    )


@reads.row(Topic)
def load_topic(source: str) -> Select[SourceTopicRow]:
    """Load the state of a source's topic; None before the first try."""
    return select(SourceTopicRow).where(SourceTopicRow.source == source)
