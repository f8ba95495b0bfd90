"""Every SQL statement of completeness: what was counted of a source's days, and what the source told of them.

A batch leaves its counts as one row of `tallies`, in the statement that stores its events; a job adds those rows up.
So no two writers wait for the same count, and what was rolled back was never counted.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.domain.completeness import ReportedDay, Tally, add_up
from ingestion.tables import DayCountRow

_tallies = msgspec.msgpack.Decoder(list[Tally])


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────


async def take_tallies(tx: Tx, limit: int) -> list[tuple[datetime, list[Tally]]]:
    """The oldest ones, which are gone with this transaction. Whoever adds up does so alone."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('ingestion.tallies'))")
    rows = await tx.sql.fetch(
        """DELETE FROM tallies WHERE tally_id IN
             (SELECT tally_id FROM tallies ORDER BY tally_id LIMIT $1)
           RETURNING at, entries""",
        limit,
    )
    return [(row[0], _tallies.decode(row[1])) for row in rows]


async def add_counts(tx: Tx, tallies: Sequence[Tally]) -> None:
    """Each of another source, day and kind. The days are to be compared anew."""
    ordered = sorted(tallies, key=lambda t: (t.source, t.day, t.kind))
    rows = await tx.sql.fetch(
        """SELECT c.source, c.day, c.kind, c.events, c.digest
           FROM day_counts c JOIN unnest($1::text[], $2::date[], $3::text[]) AS u(source, day, kind)
             USING (source, day, kind) FOR UPDATE OF c""",
        [t.source for t in ordered],
        [t.day for t in ordered],
        [t.kind for t in ordered],
    )
    sums = add_up([*(Tally(*row) for row in rows), *ordered])
    columns = ("source", "day", "kind", "events", "digest")
    values = [(t.source, t.day, t.kind, t.events, t.digest) for t in sums.values()]
    await bulk.upsert(tx, DayCountRow, columns, values, key=("source", "day", "kind"))
    await tx.sql.execute(
        """UPDATE source_days d SET checked_at = NULL FROM unnest($1::text[], $2::date[]) AS u(source, day)
           WHERE d.source = u.source AND d.day = u.day AND checked_at IS NOT NULL""",
        [t.source for t in ordered],
        [t.day for t in ordered],
    )


async def load_day(connection: Any, source: str, day: date) -> list[Tally]:
    """One tally per kind, with what the job has not added up yet. Needs a snapshot (repeatable read)."""
    rows = await connection.fetch(
        "SELECT source, day, kind, events, digest FROM day_counts WHERE source = $1 AND day = $2", source, day
    )
    waiting = await connection.fetch("SELECT entries FROM tallies")
    found = [Tally(*row) for row in rows]
    for row in waiting:
        found += [t for t in _tallies.decode(row[0]) if t.source == source and t.day == day]
    return list(add_up(found).values())


async def count_unsettled(connection: Any, source: str, day: date) -> dict[str, int]:
    """Events of a day that wait (`open`) or are parked (`discarded`)."""
    rows = await connection.fetch(
        """SELECT q.state, count(*) FROM quarantine q JOIN received r USING (event_id)
           WHERE q.source = $1 AND q.state <> 'released' AND r.day = $2 GROUP BY q.state""",
        source,
        day,
    )
    return {row[0]: row[1] for row in rows}


async def count_rejected(connection: Any, source: str, day: date) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM rejections WHERE source = $1 AND day = $2", source, day
    )
    return found


async def miscounts(connection: Any, limit: int) -> list[str]:
    """Where the counts of a day are not those of its events, in words. Needs a snapshot (repeatable read)."""
    waiting = await connection.fetch("SELECT entries FROM tallies")
    sums = add_up(t for row in waiting for t in _tallies.decode(row[0]))
    rows = await connection.fetch(
        """WITH counted AS
             (SELECT source, day, kind, events FROM day_counts UNION ALL
              SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::bigint[])),
           summed AS (SELECT source, day, kind, sum(events) AS events FROM counted GROUP BY source, day, kind),
           stored AS (SELECT source, day, kind, count(*) AS events FROM received GROUP BY source, day, kind)
           SELECT format('%s on %s: %s %s counted, %s stored', source, day, coalesce(c.events, 0), kind,
                         coalesce(s.events, 0))
           FROM summed c FULL JOIN stored s USING (source, day, kind)
           WHERE c.events IS DISTINCT FROM s.events LIMIT $5""",
        [t.source for t in sums.values()],
        [t.day for t in sums.values()],
        [t.kind for t in sums.values()],
        [t.events for t in sums.values()],
        limit,
    )
    return [row[0] for row in rows]


# ── what sources told ───────────────────────────────────────────────────────────────────────────────────────


async def upsert_told(tx: Tx, source: str, day: date, told: ReportedDay, at: datetime) -> None:
    await tx.sql.execute(
        """INSERT INTO source_days (source, day, count, digest, told_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (source, day) DO UPDATE
             SET count = excluded.count, digest = excluded.digest, told_at = excluded.told_at, checked_at = NULL""",
        source,
        day,
        told.events,
        told.digest,
        at,
    )


async def list_days(connection: Any, source: str, since: date, until: date) -> list[Any]:
    """day, count, digest, gap_since of the days that were told or expected."""
    rows: list[Any] = await connection.fetch(
        """SELECT day, count, digest, gap_since FROM source_days WHERE source = $1 AND day BETWEEN $2 AND $3
           ORDER BY day""",
        source,
        since,
        until,
    )
    return rows


async def list_counts(connection: Any, source: str, since: date, until: date) -> list[Tally]:
    """What was added up of these days."""
    rows = await connection.fetch(
        """SELECT source, day, kind, events, digest FROM day_counts WHERE source = $1 AND day BETWEEN $2 AND $3
           ORDER BY day""",
        source,
        since,
        until,
    )
    return [Tally(*row) for row in rows]


async def load_told(connection: Any, source: str, day: date) -> Any:
    """count, digest, told_at, gap_since; None where nothing was told or expected."""
    return await connection.fetchrow(
        "SELECT count, digest, told_at, gap_since FROM source_days WHERE source = $1 AND day = $2", source, day
    )
