"""Every SQL statement of completeness: the counts of a source's days, and the source's own reports.

A batch stores its counts as one row of `tallies`, in the statement that stores its events; a job adds these rows up.
So no two writers wait for the same count, and a batch that is rolled back is not counted.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec
from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.completeness.tables import DayCountRow
from ingestion.domain.completeness import Key, ReportedDay, Tally, add_up

_tallies = msgspec.msgpack.Decoder(list[Tally])


class Batch(NamedTuple):
    """The counts of one batch of events. `at`: the instant of its transaction."""

    at: datetime
    tallies: list[Tally]


class Reported(NamedTuple):
    """A source's report of a day. All fields but `gap_since` are None if the day is only expected."""

    events: int | None
    digest: str | None
    told_at: datetime | None
    gap_since: datetime | None

    @property
    def reported(self) -> ReportedDay | None:
        return report(self.events, self.digest)


NOTHING_REPORTED: Final = Reported(None, None, None, None)


def report(events: int | None, digest: str | None) -> ReportedDay | None:
    """The report with this count and digest; None if the source has not reported."""
    return ReportedDay(events, digest) if events is not None and digest is not None else None


# ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────


async def take_tallies(tx: Tx, limit: int) -> list[Batch]:
    """Delete and return the counts of the oldest batches. A lock admits one such transaction at a time."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('ingestion.tallies'))")
    rows = await tx.sql.fetch(
        """DELETE FROM tallies WHERE tally_id IN
             (SELECT tally_id FROM tallies ORDER BY tally_id LIMIT $1)
           RETURNING at, entries""",
        limit,
    )
    return [Batch(at, _tallies.decode(entries)) for at, entries in rows]


async def add_counts(tx: Tx, tallies: Sequence[Tally]) -> None:
    """Add tallies, one per source, day and kind, to the stored counts. Mark their days for a new comparison."""
    ordered = sorted(tallies, key=lambda tally: tally.key)
    sums = add_up([*await _lock_counts(tx, ordered), *ordered])
    values = [(*t.key, t.events, t.digest) for t in sums.values()]
    await bulk.upsert(tx, DayCountRow, Tally.__struct_fields__, values, key=("source", "day", "kind"))
    await _compare_again(tx, ordered)


async def _lock_counts(tx: Tx, tallies: Sequence[Tally]) -> list[Tally]:
    """Lock and return the stored counts to which these tallies are added."""
    rows = await tx.sql.fetch(
        """SELECT c.source, c.day, c.kind, c.events, c.digest
           FROM day_counts c JOIN unnest($1::text[], $2::date[], $3::text[]) AS u(source, day, kind)
             USING (source, day, kind) FOR UPDATE OF c""",
        *bulk.columns_of([tally.key for tally in tallies]),
    )
    return [Tally(*row) for row in rows]


async def _compare_again(tx: Tx, tallies: Sequence[Tally]) -> None:
    """Mark the days of these tallies for a new comparison.

    A comparison in progress may not know these tallies, so its end must be seen: the rows are locked first."""
    keys = [tally.source for tally in tallies], [tally.day for tally in tallies]
    await tx.sql.execute(
        """SELECT 1 FROM source_days d JOIN unnest($1::text[], $2::date[]) AS u(source, day) USING (source, day)
           ORDER BY d.day, d.source FOR UPDATE OF d""",
        *keys,
    )
    await tx.sql.execute(
        """UPDATE source_days d SET checked_at = NULL FROM unnest($1::text[], $2::date[]) AS u(source, day)
           WHERE d.source = u.source AND d.day = u.day AND checked_at IS NOT NULL""",
        *keys,
    )


async def load_day(connection: Any, source: str, day: date) -> list[Tally]:
    """The counts of a source's day, one tally per kind, including batches that are not added up yet.

    Needs a snapshot (repeatable read)."""
    rows = await connection.fetch(
        "SELECT source, day, kind, events, digest FROM day_counts WHERE source = $1 AND day = $2", source, day
    )
    found = [Tally(*row) for row in rows]
    for tally in await _load_waiting(connection):
        if tally.source == source and tally.day == day:
            found.append(tally)
    return list(add_up(found).values())


async def list_counts(connection: Any, source: str, since: date, until: date) -> list[Tally]:
    """The counts of a source's days from `since` to `until`, without batches that are not added up yet."""
    rows = await connection.fetch(
        """SELECT source, day, kind, events, digest FROM day_counts WHERE source = $1 AND day BETWEEN $2 AND $3
           ORDER BY day""",
        source,
        since,
        until,
    )
    return [Tally(*row) for row in rows]


class Unsettled(NamedTuple):
    """The events of a day that do not count. `waiting`: the number that waits in quarantine. `closed`: the number that
    officers have discarded or its source has withdrawn."""

    waiting: int
    closed: int

    @property
    def total(self) -> int:
        return self.waiting + self.closed


async def count_unsettled(connection: Any, source: str, day: date) -> Unsettled:
    rows = await connection.fetch(
        """SELECT q.state, count(*) FROM quarantine q JOIN received r USING (event_id)
           WHERE q.source = $1 AND q.state <> 'released' AND r.day = $2 GROUP BY q.state""",
        source,
        day,
    )
    by_state = dict(map(tuple, rows))
    return Unsettled(by_state.get("open", 0), by_state.get("discarded", 0) + by_state.get("withdrawn", 0))


async def count_rejected(connection: Any, source: str, day: date) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM rejections WHERE source = $1 AND day = $2", source, day
    )
    return found


async def miscounts(connection: Any, limit: int) -> list[str]:
    """A sentence for each day and kind whose count differs from its stored events. Needs a snapshot (repeatable
    read)."""
    waiting: dict[Key, Tally] = add_up(await _load_waiting(connection))
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
        [tally.source for tally in waiting.values()],
        [tally.day for tally in waiting.values()],
        [tally.kind for tally in waiting.values()],
        [tally.events for tally in waiting.values()],
        limit,
    )
    return [row[0] for row in rows]


async def _load_waiting(connection: Any) -> Iterable[Tally]:
    """The tallies of all batches that are not added up yet."""
    rows = await connection.fetch("SELECT entries FROM tallies")
    return (tally for row in rows for tally in _tallies.decode(row[0]))


# ── reports of sources ──────────────────────────────────────────────────────────────────────────────────────


async def upsert_report(tx: Tx, source: str, day: date, reported: ReportedDay, at: datetime) -> None:
    await tx.sql.execute(
        """INSERT INTO source_days (source, day, count, digest, told_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (source, day) DO UPDATE
             SET count = excluded.count, digest = excluded.digest, told_at = excluded.told_at, checked_at = NULL""",
        source,
        day,
        reported.events,
        reported.digest,
        at,
    )


async def list_reported(connection: Any, source: str, since: date, until: date) -> dict[date, Reported]:
    """The reports of a source from `since` to `until`, also of days that it should have reported and has not."""
    rows = await connection.fetch(
        """SELECT day, count, digest, told_at, gap_since FROM source_days
           WHERE source = $1 AND day BETWEEN $2 AND $3 ORDER BY day""",
        source,
        since,
        until,
    )
    return {day: Reported(*values) for day, *values in rows}


async def load_reported(connection: Any, source: str, day: date) -> Reported | None:
    """The report of a source about a day; None if the day is neither reported nor expected."""
    row = await connection.fetchrow(
        "SELECT count, digest, told_at, gap_since FROM source_days WHERE source = $1 AND day = $2", source, day
    )
    return Reported(*row) if row is not None else None
