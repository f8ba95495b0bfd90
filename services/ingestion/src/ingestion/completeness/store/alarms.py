"""Every SQL statement of watching over sources: gaps in their days, and silence."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from shell.store.transaction import Tx

from ingestion.domain.completeness import Tally


async def upsert_heard(tx: Tx, heard: Mapping[tuple[str, str], datetime]) -> None:
    """`heard`: the newest arrival by source and kind."""
    ordered = sorted(heard)
    await tx.sql.execute(
        """INSERT INTO source_kinds AS k (source, kind, heard_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
           ON CONFLICT (source, kind) DO UPDATE SET heard_at = greatest(k.heard_at, excluded.heard_at)""",
        [source for source, _ in ordered],
        [kind for _, kind in ordered],
        [heard[key] for key in ordered],
    )


# ── gaps ────────────────────────────────────────────────────────────────────────────────────────────────────


async def expect_days(tx: Tx, expected: Sequence[tuple[str, date]]) -> None:
    """Days of which these sources should have told."""
    await tx.sql.execute(
        """INSERT INTO source_days (source, day) SELECT * FROM unnest($1::text[], $2::date[])
           ON CONFLICT DO NOTHING""",
        [source for source, _ in expected],
        [day for _, day in expected],
    )


async def lock_days_to_compare(tx: Tx, last: date, limit: int) -> list[Any]:
    """source, day, count, digest, gap_since of the days up to `last` of which something was told or counted since
    they were last compared."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT source, day, count, digest, gap_since FROM source_days
           WHERE day <= $1 AND checked_at IS NULL ORDER BY day, source LIMIT $2 FOR UPDATE""",
        last,
        limit,
    )
    return rows


async def load_counts(tx: Tx, wanted: Sequence[tuple[str, date]]) -> dict[tuple[str, date], list[Tally]]:
    rows = await tx.sql.fetch(
        """SELECT source, day, kind, events, digest FROM day_counts
           JOIN unnest($1::text[], $2::date[]) AS u(source, day) USING (source, day)""",
        [source for source, _ in wanted],
        [day for _, day in wanted],
    )
    found: dict[tuple[str, date], list[Tally]] = {key: [] for key in wanted}
    for row in rows:
        found[row["source"], row["day"]].append(Tally(*row))
    return found


async def save_compared(tx: Tx, rows: Sequence[tuple[str, date, datetime | None, str | None]], at: datetime) -> None:
    """`rows`: source, day, since when there is a gap, and of what sort."""
    await tx.sql.execute(
        """UPDATE source_days d SET checked_at = $5, gap_since = u.gap_since, gap_state = u.gap_state
           FROM unnest($1::text[], $2::date[], $3::timestamptz[], $4::text[]) AS u(source, day, gap_since, gap_state)
           WHERE d.source = u.source AND d.day = u.day""",
        [r[0] for r in rows],
        [r[1] for r in rows],
        [r[2] for r in rows],
        [r[3] for r in rows],
        at,
    )


async def list_gaps(connection: Any, sources: Sequence[str], after: tuple[str, date] | None, limit: int) -> list[Any]:
    """source, day, state, told, since, ours: what is open, page by page."""
    rows: list[Any] = await connection.fetch(
        """SELECT source, day, gap_state AS state, count AS told, gap_since AS since,
                  coalesce((SELECT sum(c.events) FROM day_counts c WHERE (c.source, c.day) = (d.source, d.day)), 0) ours
           FROM source_days d
           WHERE gap_since IS NOT NULL AND source = ANY($1::text[])
             AND ($2::text IS NULL OR (source, day) > ($2, $3::date))
           ORDER BY source, day LIMIT $4""",
        list(sources),
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return rows


async def count_gaps(connection: Any) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT source, count(*) FROM source_days WHERE gap_since IS NOT NULL GROUP BY source"
    )
    return {row[0]: row[1] for row in rows}


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


Heard = Any  # a row: source, kind, heard_at, silent_since


async def load_heard(connection: Any) -> list[Heard]:
    """Everything ever heard, or waited for in vain."""
    rows: list[Heard] = await connection.fetch(
        "SELECT source, kind, heard_at, silent_since FROM source_kinds ORDER BY source, kind"
    )
    return rows


async def save_silence(tx: Tx, rows: Sequence[tuple[str, str, datetime | None]]) -> None:
    """`rows`: source, kind, since when it is silent."""
    await tx.sql.execute(
        """INSERT INTO source_kinds (source, kind, silent_since)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
           ON CONFLICT (source, kind) DO UPDATE SET silent_since = excluded.silent_since""",
        [r[0] for r in rows],
        [r[1] for r in rows],
        [r[2] for r in rows],
    )


# ── how far the watch has come ──────────────────────────────────────────────────────────────────────────────


async def load_mark(tx: Tx, job: str) -> str | None:
    mark: str | None = await tx.sql.fetchval("SELECT mark FROM job_marks WHERE job = $1 FOR UPDATE", job)
    return mark


async def save_mark(tx: Tx, job: str, mark: str) -> None:
    await tx.sql.execute(
        """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
           ON CONFLICT (job) DO UPDATE SET mark = excluded.mark""",
        job,
        mark,
    )
