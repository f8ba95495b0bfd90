"""The job that reads front-end tables, page by page in their order. Each page is recorded together with the place at
which it ends, so that another process goes on from there if this one is killed. A row that is read again says nothing
new. Each step is counted before it begins: a table during which the process ended three times in a row has to wait.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import msgspec
from common import calendar
from common.errors import Unavailable
from prometheus_client import Counter, Gauge
from shell import clock
from shell.store.database import Database
from shell.store.failures import is_unavailable

from ingestion.exchange.feeds import FeedBroken, FeedSettings, Setup, configured, need_registered
from ingestion.exchange.pages import Counts
from ingestion.exchange.positions import kept_newest, opened, sealed, start_of
from ingestion.exchange.reader import Reader
from ingestion.exchange.row_records import end_missing, record_page, reject_rows
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.table_rows import TableRow
from ingestion.files.crashes import CRASHES_MAX, CrashCounter
from ingestion.register import quotas, sources

log = logging.getLogger(__name__)
STEP_SECONDS: Final = 5.0
PAGE_ROWS: Final = 500
PAGE_HOUSEHOLDS: Final = 40  # each names up to fifty people
CENSUS_EVERY: Final = 50
TRIES_MAX: Final = 4
MISSING_FREE: Final = 10
HOPELESS_FROM: Final = 10_000
HOPELESS_GOOD_MIN: Final = 0.05
UNSURE_SECONDS_MAX: Final = 600
AGAIN_SECONDS_MAX: Final = 900
rows_counted = Counter("shouwang_feed_rows", "Rows of front-end tables", ["feed", "status"])
held = Gauge("shouwang_feed_held", "1 while so many rows are missing that an officer must confirm it", ["feed"])
failing = Gauge("shouwang_feed_failing", "1 while a front-end table cannot be read", ["feed"])
_encode = msgspec.json.Encoder().encode
_crashes: Final = CrashCounter(store.begin_step, store.end_step)


class Overtaken(Exception):
    """Another process moved the feed on."""


async def run_feeds(database: Database) -> int:
    """Work a few seconds on the feed whose turn it is; returns rows, or feeds brought forward."""
    setups = {n: s for n, s in configured().setups.items() if s.feed.status == "in_use"}
    if not setups:
        return 0
    await sources.look(database)
    async with database.reading() as holder:
        await store.enter(holder, setups)
        for name in await store.list_due(holder, setups, clock.now()):
            if not await store.try_lock(holder, name):
                continue  # another replica is at it
            try:
                if not await quotas.must_wait(database, setups[name].feed.source, setups[name].feed.kind):
                    return await _counted(database, holder, setups[name])
            finally:
                await store.unlock(holder, name)
    return 0


async def _counted(database: Database, holder: Any, setup: Setup) -> int:
    """One step. After three deaths of the process the feed fails, and each further death makes it wait longer."""
    name = setup.feed.feed
    if not await _crashes.begin(holder, name):
        log.error("the process died %d times while it read the feed %s", CRASHES_MAX, name)
        await _fail(database, setup, FeedBroken("job_died", times=CRASHES_MAX))
        await _crashes.end(holder, name, left=CRASHES_MAX - 1)
        return 1
    try:
        return await _work(database, setup)
    finally:
        await _crashes.end(holder, name)


async def _work(database: Database, setup: Setup) -> int:
    """A table that breaks its reader fails this feed, never the others."""
    try:
        return await _step(database, setup)
    except FeedBroken as wrong:
        broken = wrong
    except Overtaken:
        return 0
    except Exception as wrong:
        if is_unavailable(wrong):
            raise
        log.error("a feed broke its reader: %s: %s", setup.feed.feed, type(wrong).__name__)
        broken = FeedBroken("internal")
    await _fail(database, setup, broken)
    return 1


async def _step(database: Database, setup: Setup) -> int:
    name = setup.feed.feed
    async with database.reading() as connection:
        feed = await store.load_feed(connection, name)
    need_registered(setup.feed)
    if feed.state == "ending":
        return await _end_missing(database, setup, feed.run)
    reader = await Reader.open(setup)
    try:
        if feed.state != "reading":
            feed = await _begin(database, setup, reader, feed)
        return await Run(database, setup, reader, feed).read()
    finally:
        reader.close()


async def _begin(database: Database, setup: Setup, reader: Reader, feed: Any) -> Any:
    name, rows = setup.feed.feed, None
    if setup.feed.mode == "full":
        rows = (await reader.census()).rows
    headers = sealed(tuple(reader.layout.columns), f"feed/{name}/headers")
    async with database.transaction() as tx:
        await store.begin_run(tx, name, rows, headers, clock.now())
        return await store.load_feed(tx.sql, name)


async def _fail(database: Database, setup: Setup, broken: FeedBroken) -> None:
    """Where it stands stays; it is tried again, less and less often."""
    name, now = setup.feed.feed, clock.now()
    async with database.transaction() as tx:
        feed = await store.lock_feed(tx, name)
        assert feed is not None
        seconds = min(5 * 2 ** min(feed.failures, 10), AGAIN_SECONDS_MAX)
        await store.fail(tx, name, told(broken), now + timedelta(seconds=seconds), now)
    failing.labels(name).set(1)
    log.warning("feed %s cannot be read: %s", name, broken.code)


def told(broken: FeedBroken | None) -> bytes:
    return _encode({"code": broken.code, **broken.extra}) if broken else b""


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────


class Run:
    """One step of one reading of a table."""

    def __init__(self, database: Database, setup: Setup, reader: Reader, feed: Any) -> None:
        self.database, self.setup, self.reader = database, setup, reader
        self.name, self.run = setup.feed.feed, int(feed.run)
        self.cursor: bytes = feed.cursor
        newest = opened(feed.newest, f"feed/{self.name}/newest")
        watermark = setup.feed.watermark
        self.since = start_of(newest[0], watermark) if watermark and newest else None
        self.limit = PAGE_HOUSEHOLDS if setup.feed.kind == "household" else PAGE_ROWS

    async def read(self) -> int:
        async with self.database.reading() as connection:
            run = await store.load_run(connection, self.name, self.run)
        number, rejected, first = run.rows_read, run.rejected, run.rows_read
        source = self.setup.feed.source
        place, until = opened(self.cursor, f"feed/{self.name}/cursor"), monotonic() + STEP_SECONDS
        failing.labels(self.name).set(0)
        while True:
            found = await self.reader.next(place, self.since, self.limit, number)
            if found.rows:
                place = found.rows[-1].position
                counts = await self._record(found.rows, sealed(place, f"feed/{self.name}/cursor"))
                number, rejected = number + len(found.rows), rejected + counts.rejected
                if said := len(found.rows) - counts.unchanged:
                    await quotas.owe(self.database, {source: said})
            if rejected >= HOPELESS_FROM and number - rejected < HOPELESS_GOOD_MIN * number:
                await self._settle(FeedBroken("too_many_rejects"))
            elif not found.more:
                await self._finish(run.rows_before, number)
            elif monotonic() < until and not await quotas.must_wait(self.database, source, self.setup.feed.kind):
                continue
            return int(number - first) + 1

    async def _record(self, lines: Sequence[TableRow], to: bytes | None) -> Counts:
        """One transaction; on a bug the page is halved until the one row is found, and that one is refused."""
        try:
            return await self._patiently(lines, to, record_page)
        except (Overtaken, Unavailable, FeedBroken):
            raise
        except Exception as wrong:  # noqa: BLE001 - the row that did it is told so, and logged without any content
            log.warning("a page of %d rows failed: %s", len(lines), type(wrong).__name__)
        if len(lines) == 1:
            return await self._patiently(lines, to, reject_rows)
        middle = len(lines) // 2
        one = await self._record(lines[:middle], None)
        other = await self._record(lines[middle:], to)
        return one + other

    async def _patiently(self, lines: Sequence[TableRow], to: bytes | None, tell: Any) -> Counts:
        for tries in range(1, TRIES_MAX + 1):
            try:
                return await self._commit(lines, to, tell)
            except Exception as wrong:
                if not is_unavailable(wrong):
                    raise
                if tries == TRIES_MAX:
                    raise Unavailable(type(wrong).__name__) from wrong
            await asyncio.sleep(0.02 * 2**tries)
        raise AssertionError

    async def _commit(self, lines: Sequence[TableRow], to: bytes | None, tell: Any) -> Counts:
        now = clock.now()
        async with self.database.transaction() as tx:
            counts: Counts = await tell(tx, self.reader.layout, self.run, lines, now)
            by = store.Advance(self.run, self.cursor, to, self._newest(lines[-1], to), *counts)
            if not await store.advance(tx, self.name, by, now):
                raise Overtaken(self.name)
        self.cursor = self.cursor if to is None else to
        for status, count in counts._asdict().items():
            rows_counted.labels(self.name, status).inc(count)
        return counts

    def _newest(self, line: TableRow, to: bytes | None) -> bytes | None:
        watermark = self.setup.feed.watermark
        if watermark is None or to is None:
            return None
        newest = kept_newest(line.position[0], watermark, clock.now())
        return None if newest is None else sealed((newest,), f"feed/{self.name}/newest")

    # -- the end of a reading

    async def _finish(self, rows_before: int | None, rows_read: int) -> None:
        """Whether the absence of rows counts: only if the table stood still, and only so many at once."""
        ways, is_full = self.setup.rules, self.setup.feed.mode == "full"
        if not is_full and self.run % CENSUS_EVERY != 1:
            return await self._settle(None)
        census = await self.reader.census()
        if census.empty:
            return await self._settle(FeedBroken("column_empty", rows=census.empty))
        if not is_full:
            return await self._settle(None)
        if not rows_before == rows_read == census.rows:
            return await self._settle(FeedBroken("table_moved", before=rows_before, read=rows_read, after=census.rows))
        now = clock.now()
        async with self.database.transaction() as tx:
            await feed_rows.delete_unseen_rejects(tx, self.name, self.run)
            missing, known = await feed_rows.count_missing(tx, self.name, self.run, calendar.civil_date(now))
        if not missing or ways.missing == "nothing":
            return await self._settle(None, missing=missing)
        allowed = max(MISSING_FREE, known * self.setup.feed.missing_percent_max // 100)
        if rows_read == 0 or missing > allowed:
            return await self._settle(FeedBroken("too_many_missing", missing=missing, known=known), missing=missing)
        return await self._settle(None, missing=missing, ending=True)

    async def _settle(self, problem: FeedBroken | None, *, missing: int = 0, ending: bool = False) -> None:
        state = "ending" if ending else "done"
        if problem is not None:
            state = {"too_many_missing": "held", "column_empty": "done"}.get(problem.code, "unsure")
            if self.setup.feed.mode == "full" and problem.code == "column_empty":
                state = "unsure"
        seconds = self.setup.feed.every_seconds
        seconds = min(seconds, UNSURE_SECONDS_MAX) if state == "unsure" else seconds
        now = clock.now()
        next_at = now if ending else now + timedelta(seconds=seconds)
        async with self.database.transaction() as tx:
            await store.settle_run(
                tx,
                self.name,
                self.run,
                state=state,
                next_at=next_at,
                missing=missing,
                problem=told(problem),
                at=now,
            )
            await store.forget_runs(tx, self.name, self.run, FeedSettings().runs_kept)
        held.labels(self.name).set(state == "held")
        if problem is not None:
            level = logging.ERROR if state == "held" else logging.WARNING
            log.log(level, "feed %s: %s", self.name, problem.code)


# ── ending what is missing ──────────────────────────────────────────────────────────────────────────────────


async def _end_missing(database: Database, setup: Setup, run: int) -> int:
    """A page of rows that the last full load did not have; at the last one the run is done."""
    name, now = setup.feed.feed, clock.now()
    limit = PAGE_HOUSEHOLDS if setup.feed.kind == "household" else PAGE_ROWS
    held.labels(name).set(0)
    async with database.transaction() as tx:
        known = await feed_rows.lock_missing(tx, name, run, calendar.civil_date(now), limit)
        if known:
            ended = await end_missing(tx, setup, run, known, now)
            await store.count_ended(tx, name, run, ended, now)
        else:
            missing = (await store.load_run(tx.sql, name, run)).missing
            next_at = now + timedelta(seconds=setup.feed.every_seconds)
            await store.settle_run(tx, name, run, state="done", next_at=next_at, missing=missing, problem=b"", at=now)
    return len(known) + 1
