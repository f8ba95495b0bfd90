"""Every SQL statement of the alarms about sources: gaps in their days, and silence."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from shell.store import bulk, reads
from shell.store.reads import Select, select
from shell.store.transaction import Tx

from ingestion.completeness.store.days import report
from ingestion.completeness.tables import SourceKindRow
from ingestion.domain.completeness import ReportedDay, Tally

SourceKind = tuple[str, str]
SourceDay = tuple[str, date]


class Day(NamedTuple):
    """A day to compare. `events`, `digest`: the source's report, None without one. `gap_since`: start of an open
    alarm."""

    source: str
    day: date
    events: int | None
    digest: str | None
    gap_since: datetime | None

    @property
    def key(self) -> SourceDay:
        return self.source, self.day

    @property
    def reported(self) -> ReportedDay | None:
        return report(self.events, self.digest)


class Compared(NamedTuple):
    """The result of a comparison; `gap_since` and `gap_state` are None for a complete day."""

    source: str
    day: date
    gap_since: datetime | None
    gap_state: str | None


class Gap(NamedTuple):
    """An open gap. `ours`: number of events that arrived; `told`: number that the source reported. `since`: the start
    of the alarm."""

    source: str
    day: date
    state: str
    told: int | None
    since: datetime
    ours: int


class Arrival(NamedTuple):
    """The last arrival of a kind from a source. `silent_since`: start of an open alarm."""

    source: str
    kind: str
    heard_at: datetime | None
    silent_since: datetime | None

    @property
    def key(self) -> SourceKind:
        return self.source, self.kind


class Silence(NamedTuple):
    """The alarm about a silent kind, to be stored. `since`: its start; None ends the alarm."""

    source: str
    kind: str
    since: datetime | None


async def upsert_arrivals(tx: Tx, arrivals: Mapping[SourceKind, datetime]) -> None:
    """Store the newest arrival by source and kind. An older instant than the stored one changes nothing.

    `arrivals`: at least one."""
    rows = [(*key, arrivals[key]) for key in sorted(arrivals)]
    await tx.sql.execute(
        """INSERT INTO source_kinds AS k (source, kind, heard_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
           ON CONFLICT (source, kind) DO UPDATE SET heard_at = greatest(k.heard_at, excluded.heard_at)""",
        *bulk.columns_of(rows),
    )


# ── gaps ────────────────────────────────────────────────────────────────────────────────────────────────────


async def insert_expected(tx: Tx, expected: Sequence[SourceDay]) -> None:
    """Store the days that sources should report; a stored day stays as it is."""
    if expected:
        await tx.sql.execute(
            """INSERT INTO source_days (source, day) SELECT * FROM unnest($1::text[], $2::date[])
               ON CONFLICT DO NOTHING""",
            *bulk.columns_of(expected),
        )


async def lock_days_to_compare(tx: Tx, last: date, limit: int) -> list[Day]:
    """Lock and return at most `limit` days up to `last` that were never compared or have a new report or count."""
    rows = await tx.sql.fetch(
        """SELECT source, day, count, digest, gap_since FROM source_days
           WHERE day <= $1 AND checked_at IS NULL ORDER BY day, source LIMIT $2 FOR UPDATE""",
        last,
        limit,
    )
    return [Day(*row) for row in rows]


async def load_counts(tx: Tx, wanted: Sequence[SourceDay]) -> dict[SourceDay, list[Tally]]:
    """The counts of these days, one tally per kind; an empty list for a day without events."""
    found: dict[SourceDay, list[Tally]] = {key: [] for key in wanted}
    if not wanted:
        return found
    rows = await tx.sql.fetch(
        """SELECT source, day, kind, events, digest FROM day_counts
           JOIN unnest($1::text[], $2::date[]) AS u(source, day) USING (source, day)""",
        *bulk.columns_of(wanted),
    )
    for tally in [Tally(*row) for row in rows]:
        found[tally.source, tally.day].append(tally)
    return found


async def save_compared(tx: Tx, rows: Sequence[Compared], at: datetime) -> None:
    if rows:
        await tx.sql.execute(
            """UPDATE source_days d SET checked_at = $5, gap_since = u.gap_since, gap_state = u.gap_state
               FROM unnest($1::text[], $2::date[], $3::timestamptz[], $4::text[])
                 AS u(source, day, gap_since, gap_state)
               WHERE d.source = u.source AND d.day = u.day""",
            *bulk.columns_of(rows),
            at,
        )


async def list_gaps(connection: Any, sources: Sequence[str], after: SourceDay | None, limit: int) -> list[Gap]:
    """A page of open gaps, by source and day."""
    rows = await connection.fetch(
        """SELECT source, day, gap_state AS state, count AS told, gap_since AS since,
                  coalesce((SELECT sum(c.events) FROM day_counts c WHERE (c.source, c.day) = (d.source, d.day)), 0) ours
           FROM source_days d
           WHERE gap_since IS NOT NULL AND source = ANY($1::text[])
             AND ($2::text IS NULL OR (source, day) > ($2, $3::date))
           ORDER BY source, day LIMIT $4""",
        list(sources),
        *(after or (None, None)),
        limit,
    )
    return [Gap(*row) for row in rows]


async def count_gaps(connection: Any) -> dict[str, int]:
    """The number of open gaps by source."""
    rows = await connection.fetch(
        "SELECT source, count(*) FROM source_days WHERE gap_since IS NOT NULL GROUP BY source"
    )
    return {row[0]: row[1] for row in rows}


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


@reads.rows(Arrival)
def list_arrivals() -> Select[SourceKindRow]:
    """Every source and kind that has arrived or has an alarm."""
    return select(SourceKindRow).order_by(SourceKindRow.source, SourceKindRow.kind)


async def save_silences(tx: Tx, rows: Sequence[Silence]) -> None:
    if rows:
        await tx.sql.execute(
            """INSERT INTO source_kinds (source, kind, silent_since)
               SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
               ON CONFLICT (source, kind) DO UPDATE SET silent_since = excluded.silent_since""",
            *bulk.columns_of(rows),
        )


# ── progress of the jobs ────────────────────────────────────────────────────────────────────────────────────


async def load_mark(tx: Tx, job: str) -> str | None:
    """Lock and return the progress that a job has saved, as its own text; None before its first step."""
    mark: str | None = await tx.sql.fetchval("SELECT mark FROM job_marks WHERE job = $1 FOR UPDATE", job)
    return mark


async def save_mark(tx: Tx, job: str, mark: str) -> None:
    await tx.sql.execute(
        """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
           ON CONFLICT (job) DO UPDATE SET mark = excluded.mark""",
        job,
        mark,
    )
