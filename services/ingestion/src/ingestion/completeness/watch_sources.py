"""The job that watches over sources: days that are not complete, and silence. An alarm is told once, and once its end.

Days follow one another however long the service was down; and as nobody can hear while down, silence is no alarm
before the sources had an hour to be heard again.
"""

from datetime import date, datetime, timedelta
from typing import Final

from common.calendar import civil_date, start_of_day
from common.events import SourceGapClosed, SourceGapFound, SourceHeard, SourceSilent
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.completeness.store import watching as store
from ingestion.domain.completeness import ReportedDay, compare, whole_day
from ingestion.domain.silence import silent_after
from ingestion.register import sources

DAYS_MAX: Final = 500
EXPECTED_DAYS_MAX: Final = 31
GAP_GRACE: Final = timedelta(hours=6)
OUTAGE: Final = timedelta(hours=1)
_LISTENING: Final = "watch_sources"
_EXPECTING: Final = "expect_days"
gaps_open = Gauge("shouwang_source_gaps", "Days of sources that are not complete")
silent = Gauge("shouwang_sources_silent", "Kinds that a source should have sent and did not")


async def watch_sources(database: Database) -> int:
    """One bounded step; returns days compared, or expected."""
    await sources.look(database)
    now = clock.now()
    last = civil_date(now - GAP_GRACE) - timedelta(days=1)
    async with database.transaction() as tx:
        done = await _expect_days(tx, last)
        done += await _compare_days(tx, last, now)
        silent.set(await _listen(tx, now))
        gaps_open.set(sum((await store.count_gaps(tx.sql)).values()))
    return done


# ── days ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _expect_days(tx: Tx, last: date) -> int:
    """The days since the last step, of every source that tells its days."""
    mark = await store.load_mark(tx, _EXPECTING)
    begin = date.fromisoformat(mark) + timedelta(days=1) if mark else last
    until = min(last, begin + timedelta(days=EXPECTED_DAYS_MAX - 1))
    days = [begin + timedelta(days=n) for n in range((until - begin).days + 1)]
    if not days:
        return 0
    telling = [urn for urn, version in sources.versions().items() if version.entry.tells_days and version.entry.active]
    await store.expect_days(tx, [(urn, day) for urn in telling for day in days])
    await store.save_mark(tx, _EXPECTING, until.isoformat())
    return len(days)


async def _compare_days(tx: Tx, last: date, now: datetime) -> int:
    rows = await store.lock_days_to_compare(tx, last, DAYS_MAX)
    counts = await store.load_counts(tx, [(row["source"], row["day"]) for row in rows])
    compared: list[tuple[str, date, datetime | None, str | None]] = []
    for row in rows:
        source, day, since = row["source"], row["day"], row["gap_since"]
        told = ReportedDay(row["count"], row["digest"]) if row["count"] is not None else None
        ours = whole_day(counts[source, day])
        state = compare(told, ours)
        if state == "complete":
            if since is not None:
                tx.emit(SourceGapClosed(source=source, day=day, found_at=since, closed_at=now))
            compared.append((source, day, None, None))
            continue
        if since is None:
            tx.emit(
                SourceGapFound(source=source, day=day, gap=state, ours=ours.events, told=row["count"], found_at=now)
            )
        compared.append((source, day, since or now, state))
    await store.save_compared(tx, compared, now)
    return len(rows)


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _listen(tx: Tx, now: datetime) -> int:
    """How many kinds are silent."""
    deaf = await _deaf(tx, now)
    alarms = {(row["source"], row["kind"]): row for row in await store.load_heard(tx.sql)}
    changed: list[tuple[str, str, datetime | None]] = []
    count = 0
    watched = _watched(alarms)
    for (source, kind), (heard_at, late_at) in watched.items():
        row = alarms.get((source, kind))
        since = row["silent_since"] if row is not None else None
        if now >= late_at:
            count += since is not None or not deaf
            if since is None and not deaf:
                tx.emit(SourceSilent(source=source, kind=kind, heard_at=heard_at, silent_since=now))
                changed.append((source, kind, now))
        elif since is not None:
            tx.emit(SourceHeard(source=source, kind=kind, heard_at=heard_at, silent_since=since))
            changed.append((source, kind, None))
    changed += [(*key, None) for key, row in alarms.items() if row["silent_since"] and key not in watched]
    await store.save_silence(tx, changed)
    return count


def _watched(heard: dict[tuple[str, str], store.Heard]) -> dict[tuple[str, str], tuple[datetime, datetime]]:
    """By source and kind: when it was last heard, and from when on silence is an alarm. A kind that was never heard is
    waited for from the day on which its feed was to begin; without one nobody waits for it yet."""
    found: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for urn, version in sources.versions().items():
        entry = version.entry
        for kind, cadence in entry.cadence.items() if entry.active else ():
            row = heard.get((urn, kind))
            begun = [start_of_day(feed.since) for feed in entry.feeds if feed.kind == kind]
            at = row["heard_at"] if row is not None and row["heard_at"] else min(begun, default=None)
            if at is not None:
                found[urn, kind] = (at, silent_after(at, cadence))
    return found


async def _deaf(tx: Tx, now: datetime) -> bool:
    """Whether we were down so recently that silence means nothing yet."""
    seen_at, _, until = (await store.load_mark(tx, _LISTENING) or "").partition(" ")
    deaf_until = datetime.fromisoformat(until) if until else now + OUTAGE
    if not seen_at or now - datetime.fromisoformat(seen_at) > OUTAGE:
        deaf_until = now + OUTAGE
    await store.save_mark(tx, _LISTENING, f"{now.isoformat()} {deaf_until.isoformat()}")
    return now < deaf_until
