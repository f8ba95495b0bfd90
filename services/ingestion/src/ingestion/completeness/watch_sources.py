"""The job that raises alarms about sources: for incomplete days (gaps) and for kinds that stop arriving (silence). It
emits one event when an alarm opens and one when it closes. An alarm about a kind that is no longer expected closes
without an event.

It processes every day, even after a long downtime. After an outage of the platform, silence opens no alarm for an hour,
so that sources can send again.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from common.calendar import civil_date, start_of_day
from common.events import SourceGapClosed, SourceGapFound, SourceHeard, SourceSilent
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.completeness.store import alarms as store
from ingestion.domain.completeness import Gap, RecordedDay, State, compare, whole_day
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
    """Job: expect and compare days, and update the alarms about silence. Returns the number of days compared or
    expected."""
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
    """Store the days since the last step, at most EXPECTED_DAYS_MAX, as expected for every source that reports its
    days; return the number of days."""
    days = _days_after(await store.load_mark(tx, _EXPECTING), last)
    if days:
        await store.insert_expected(tx, [(urn, day) for urn in _reporting_sources() for day in days])
        await store.save_mark(tx, _EXPECTING, days[-1].isoformat())
    return len(days)


def _days_after(mark: str | None, last: date) -> list[date]:
    """The days after `mark` up to `last`, at most EXPECTED_DAYS_MAX. Without a mark: `last` alone."""
    first = date.fromisoformat(mark) + timedelta(days=1) if mark else last
    until = min(last, first + timedelta(days=EXPECTED_DAYS_MAX - 1))
    return [first + timedelta(days=n) for n in range((until - first).days + 1)]


def _reporting_sources() -> list[str]:
    return [urn for urn, entry in sources.active_entries().items() if entry.tells_days]


async def _compare_days(tx: Tx, last: date, now: datetime) -> int:
    """Compare at most DAYS_MAX changed days up to `last` with their reports; return the number of days."""
    days = await store.lock_days_to_compare(tx, last, DAYS_MAX)
    counts = await store.load_counts(tx, [day.key for day in days])
    compared = [_compared(tx, day, whole_day(counts[day.key]), now) for day in days]
    await store.save_compared(tx, compared, now)
    return len(days)


def _compared(tx: Tx, day: store.Day, ours: RecordedDay, now: datetime) -> store.Compared:
    """Compare a day with its report, emit an event if an alarm opens or closes, and return the result to store."""
    state = compare(day.reported, ours)
    _emit_gap(tx, day, state, ours, now)
    if state == "complete":
        return store.Compared(*day.key, None, None)
    return store.Compared(*day.key, day.gap_since or now, state)


def _emit_gap(tx: Tx, day: store.Day, state: State, ours: RecordedDay, now: datetime) -> None:
    """Emit an event if this comparison opens or closes an alarm."""
    if state == "complete":
        if day.gap_since is not None:
            tx.emit(SourceGapClosed(source=day.source, day=day.day, found_at=day.gap_since, closed_at=now))
    elif day.gap_since is None:
        tx.emit(_gap_found(day, state, ours, now))


def _gap_found(day: store.Day, gap: Gap, ours: RecordedDay, now: datetime) -> SourceGapFound:
    return SourceGapFound(source=day.source, day=day.day, gap=gap, ours=ours.events, told=day.events, found_at=now)


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Expected(NamedTuple):
    """A kind that a source should send. `heard_at`: the last arrival, or before any arrival the start of its first
    coverage entry. `late_at`: the instant from which silence is an alarm."""

    heard_at: datetime
    late_at: datetime


class _Alarm(NamedTuple):
    """The alarm about a silent kind. `before`, `after`: its start, before and after this step; None: no alarm."""

    key: store.SourceKind
    heard_at: datetime
    before: datetime | None
    after: datetime | None

    @property
    def has_changed(self) -> bool:
        return self.after != self.before

    @property
    def silence(self) -> store.Silence:
        return store.Silence(*self.key, self.after)


async def _update_silences(tx: Tx, now: datetime) -> int:
    """Open and close alarms; return the number of open alarms."""
    in_grace = await _in_grace(tx, now)
    arrivals = {row.key: row for row in await store.list_arrivals(tx.sql)}
    expected = _expected(arrivals)
    alarms = [_alarm(key, due, arrivals.get(key), now, in_grace=in_grace) for key, due in expected.items()]
    changed = [alarm for alarm in alarms if alarm.has_changed]
    for alarm in changed:
        _emit_silence(tx, alarm)
    ended = _no_longer_expected(arrivals, expected)
    await store.save_silences(tx, [*(alarm.silence for alarm in changed), *ended])
    return sum(alarm.after is not None for alarm in alarms)


def _alarm(
    key: store.SourceKind, due: _Expected, arrival: store.Arrival | None, now: datetime, *, in_grace: bool
) -> _Alarm:
    before = arrival.silent_since if arrival is not None else None
    return _Alarm(key, due.heard_at, before, _silent_since(before, now, due.late_at, in_grace=in_grace))


def _silent_since(before: datetime | None, now: datetime, late_at: datetime, *, in_grace: bool) -> datetime | None:
    """The start of the alarm after this step; None if there is no alarm. `before`: its start before this step."""
    if now < late_at:
        return None
    if before is None and not in_grace:
        return now
    return before


def _emit_silence(tx: Tx, alarm: _Alarm) -> None:
    source, kind = alarm.key
    if alarm.after is not None:
        tx.emit(SourceSilent(source=source, kind=kind, heard_at=alarm.heard_at, silent_since=alarm.after))
    elif alarm.before is not None:
        tx.emit(SourceHeard(source=source, kind=kind, heard_at=alarm.heard_at, silent_since=alarm.before))


def _no_longer_expected(
    arrivals: Mapping[store.SourceKind, store.Arrival], expected: Collection[store.SourceKind]
) -> list[store.Silence]:
    """The ends of open alarms about kinds that are not in `expected`, for example of a suspended source. Such an end
    emits no event."""
    silent_keys = [key for key, row in arrivals.items() if row.silent_since]
    return [store.Silence(*key, None) for key in silent_keys if key not in expected]


def _expected(arrivals: Mapping[store.SourceKind, store.Arrival]) -> dict[store.SourceKind, _Expected]:
    """Every kind that an active source should send, by source and kind.

    A kind that never arrived is expected from the first day of its coverage entry (`feeds`) on. Without an entry it is
    not expected yet."""
    found = {}
    for urn, entry in sources.active_entries().items():
        for kind, cadence in entry.cadence.items():
            heard_at = _last_heard(arrivals, urn, kind) or _first_feed(entry, kind)
            if heard_at is not None:
                found[urn, str(kind)] = _Expected(heard_at, silent_after(heard_at, cadence))
    return found


def _last_heard(arrivals: Mapping[store.SourceKind, store.Arrival], urn: str, kind: str) -> datetime | None:
    row = arrivals.get((urn, kind))
    return row.heard_at if row is not None else None


def _first_feed(entry: Entry, kind: str) -> datetime | None:
    starts = [start_of_day(feed.since) for feed in entry.feeds if feed.kind == kind]
    return min(starts, default=None)


async def _in_grace(tx: Tx, now: datetime) -> bool:
    """Whether the platform was down so recently that silence opens no alarm yet."""
    grace_until = _grace_until(await store.load_mark(tx, _LISTENING) or "", now)
    await store.save_mark(tx, _LISTENING, f"{now.isoformat()} {grace_until.isoformat()}")
    return now < grace_until


def _grace_until(mark: str, now: datetime) -> datetime:
    """The end of the grace period. A new one begins at `now` after an outage or without a mark.

    `mark`: the instant of the last step and the end of the last grace period, separated by a space."""
    last_step, _, until = mark.partition(" ")
    if not last_step or not until or now - datetime.fromisoformat(last_step) > OUTAGE:
        return now + OUTAGE
    return datetime.fromisoformat(until)
