"""The job that watches sources: incomplete days, and silence. It emits one event when an alarm opens and one when it
closes.

It processes every day, even after a long downtime. After an outage of the platform, silence opens no alarm for an hour,
so that sources can send again.
"""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from common.calendar import civil_date, start_of_day
from common.events import SourceGapClosed, SourceGapFound, SourceHeard, SourceSilent
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.completeness.store import alarms as store
from ingestion.domain.completeness import Ours, State, Told, compare, whole_day
from ingestion.domain.silence import silent_after
from ingestion.register import sources
from ingestion.register.shapes import Entry

DAYS_MAX: Final = 500
EXPECTED_DAYS_MAX: Final = 31
GAP_GRACE: Final = timedelta(hours=6)
OUTAGE: Final = timedelta(hours=1)
_LISTENING: Final = "watch_sources"
_EXPECTING: Final = "expect_days"
gaps_open = Gauge("shouwang_source_gaps", "Days of sources that are not complete")
silent = Gauge("shouwang_sources_silent", "Kinds that a source should have sent and did not")


async def watch_sources(database: Database) -> int:
    """One bounded step; returns the number of days compared or expected."""
    await sources.refresh(database)
    now = clock.now()
    last = civil_date(now - GAP_GRACE) - timedelta(days=1)
    async with database.transaction() as tx:
        done = await _expect_days(tx, last)
        done += await _compare_days(tx, last, now)
        silent.set(await _update_silences(tx, now))
        gaps_open.set(sum((await store.count_gaps(tx.sql)).values()))
    return done


# ── days ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _expect_days(tx: Tx, last: date) -> int:
    """Add the days since the last step for every source that reports its days; returns the number of days."""
    mark = await store.load_mark(tx, _EXPECTING)
    first = date.fromisoformat(mark) + timedelta(days=1) if mark else last
    until = min(last, first + timedelta(days=EXPECTED_DAYS_MAX - 1))
    days = [first + timedelta(days=n) for n in range((until - first).days + 1)]
    if not days:
        return 0
    entries = {urn: version.entry for urn, version in sources.versions().items()}
    reporting = [urn for urn, entry in entries.items() if entry.tells_days and entry.active]
    await store.insert_expected(tx, [(urn, day) for urn in reporting for day in days])
    await store.save_mark(tx, _EXPECTING, until.isoformat())
    return len(days)


async def _compare_days(tx: Tx, last: date, now: datetime) -> int:
    days = await store.lock_days_to_compare(tx, last, DAYS_MAX)
    counts = await store.load_counts(tx, [(day.source, day.day) for day in days])
    compared = []
    for day in days:
        ours = whole_day(counts[day.source, day.day])
        told = Told(day.events, day.digest) if day.events is not None and day.digest is not None else None
        state = compare(told, ours)
        _emit_gap(tx, day, state, ours, now)
        if state == "complete":
            compared.append(store.Compared(day.source, day.day, None, None))
        else:
            compared.append(store.Compared(day.source, day.day, day.gap_since or now, state))
    await store.save_compared(tx, compared, now)
    return len(days)


def _emit_gap(tx: Tx, day: store.Day, state: State, ours: Ours, now: datetime) -> None:
    """Emit an event if this comparison opens or closes an alarm."""
    if state == "complete":
        if day.gap_since is not None:
            tx.emit(SourceGapClosed(source=day.source, day=day.day, found_at=day.gap_since, closed_at=now))
    elif day.gap_since is None:
        tx.emit(
            SourceGapFound(source=day.source, day=day.day, gap=state, ours=ours.events, told=day.events, found_at=now)
        )


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Expected(NamedTuple):
    """`heard_at`: the last arrival; `late_at`: the instant from which silence is an alarm."""

    heard_at: datetime
    late_at: datetime


async def _update_silences(tx: Tx, now: datetime) -> int:
    """Open and close alarms; returns the number of silent kinds."""
    in_grace = await _in_grace(tx, now)
    arrivals = {(row.source, row.kind): row for row in await store.list_arrivals(tx.sql)}
    expected = _expected(arrivals)
    changed: list[store.Silence] = []
    count = 0
    for (source, kind), (heard_at, late_at) in expected.items():
        row = arrivals.get((source, kind))
        since = row.silent_since if row is not None else None
        if now < late_at:
            if since is not None:
                tx.emit(SourceHeard(source=source, kind=kind, heard_at=heard_at, silent_since=since))
                changed.append(store.Silence(source, kind, None))
            continue
        if since is None and in_grace:
            continue
        count += 1
        if since is None:
            tx.emit(SourceSilent(source=source, kind=kind, heard_at=heard_at, silent_since=now))
            changed.append(store.Silence(source, kind, now))
    for key, row in arrivals.items():
        if row.silent_since and key not in expected:
            changed.append(store.Silence(*key, None))
    await store.save_silences(tx, changed)
    return count


def _expected(arrivals: dict[store.SourceKind, store.Arrival]) -> dict[store.SourceKind, _Expected]:
    """Every kind that an active source should send. A kind that never arrived is expected from the first day of its
    feed on; without a feed it is not expected yet."""
    found = {}
    for urn, version in sources.versions().items():
        entry = version.entry
        if not entry.active:
            continue
        for kind, cadence in entry.cadence.items():
            row = arrivals.get((urn, kind))
            heard_at = row.heard_at if row is not None and row.heard_at else _first_feed(entry, kind)
            if heard_at is not None:
                found[urn, str(kind)] = _Expected(heard_at, silent_after(heard_at, cadence))
    return found


def _first_feed(entry: Entry, kind: str) -> datetime | None:
    starts = [start_of_day(feed.since) for feed in entry.feeds if feed.kind == kind]
    return min(starts, default=None)


async def _in_grace(tx: Tx, now: datetime) -> bool:
    """Whether the platform was down so recently that silence opens no alarm yet."""
    last_step, _, until = (await store.load_mark(tx, _LISTENING) or "").partition(" ")
    grace_until = datetime.fromisoformat(until) if until else now + OUTAGE
    if not last_step or now - datetime.fromisoformat(last_step) > OUTAGE:
        grace_until = now + OUTAGE
    await store.save_mark(tx, _LISTENING, f"{now.isoformat()} {grace_until.isoformat()}")
    return now < grace_until
