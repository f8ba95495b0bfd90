"""The job that reads front-end tables, page by page in the order of the table.

The place of a page is saved with its rows. If the process is killed, another process continues from this place. Each
step is counted before it begins. If the process dies during three steps of a feed in a row, the feed fails and waits.
"""

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from common import calendar
from prometheus_client import Gauge
from shell import clock
from shell.store.database import Database
from shell.store.failures import is_unavailable

from ingestion.exchange.feeds import FeedBroken, Setup, configured, need_registered
from ingestion.exchange.positions import sealed
from ingestion.exchange.reader import Reader
from ingestion.exchange.row_records import end_missing
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.table_runs import Overtaken, Run, page_rows, problem_json
from ingestion.files.crashes import CRASHES_MAX, CrashCounter
from ingestion.register import quotas, sources

log = logging.getLogger(__name__)
RETRY_SECONDS_MIN: Final = 5
RETRY_SECONDS_MAX: Final = 900
_DOUBLINGS_MAX: Final = 10
held = Gauge("shouwang_feed_held", "1 while so many rows are missing that an officer must confirm it", ["feed"])
failing = Gauge("shouwang_feed_failing", "1 while a front-end table cannot be read", ["feed"])
_crashes: Final = CrashCounter(store.begin_step, store.end_step)


async def run_feeds(database: Database) -> int:
    """Work for some seconds on the feed whose turn it is. Returns a number above 0 if it did something."""
    setups = {n: s for n, s in configured().setups.items() if s.feed.status == "in_use"}
    if not setups:
        return 0
    await sources.refresh(database)
    async with database.reading() as holder:
        await store.enter(holder, setups)
        await _show_states(holder, setups)
        for name in await store.list_due(holder, setups, clock.now()):
            if not await store.try_lock(holder, name):
                continue  # another replica works on it
            try:
                if not await quotas.must_wait(database, setups[name].feed.source, setups[name].feed.kind):
                    return await _counted(database, holder, setups[name])
            finally:
                await store.unlock(holder, name)
    return 0


async def _show_states(holder: Any, setups: Collection[str]) -> None:
    """Set the gauges from the stored feeds. So they are right after a restart, too."""
    for name, feed in (await store.load_feeds(holder, setups)).items():
        if feed.state != "reading":  # a held feed stays held until a reading ends
            held.labels(name).set(feed.state == "held")
        failing.labels(name).set(feed.failures > 0)


async def _counted(database: Database, holder: Any, setup: Setup) -> int:
    """Do one step of a feed, and count it before it begins. Returns a number above 0 if it did something.

    After three deaths of the process in a row, the feed fails. Each further death makes it wait longer."""
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
    """Do one step of a feed. If the feed cannot be read or its reader has a bug, only this feed fails.

    Raises errors of our own database if it is unavailable."""
    try:
        return await _step(database, setup)
    except FeedBroken as error:
        broken = error
    except Overtaken:
        return 0
    except Exception as error:
        if is_unavailable(error):
            raise
        log.error("a feed broke its reader: %s: %s", setup.feed.feed, type(error).__name__)
        broken = FeedBroken("internal")
    await _fail(database, setup, broken)
    return 1


async def _step(database: Database, setup: Setup) -> int:
    """Read some pages, or end the facts of some missing rows, as the state of the feed requires."""
    async with database.reading() as connection:
        feed = await store.load_feed(connection, setup.feed.feed)
    need_registered(setup.feed)
    if feed.state == "ending":
        return await _end_missing(database, setup, feed.run)
    reader = await Reader.open(setup)
    try:
        if feed.state != "reading":
            feed = await _begin(database, setup, reader, feed.run + 1)
        return await Run(database, setup, reader, feed).read()
    finally:
        reader.close()


async def _begin(database: Database, setup: Setup, reader: Reader, run: int) -> Any:
    """Begin a run, which is one reading of the table. Returns the stored feed."""
    name, rows, known, now = setup.feed.feed, None, None, clock.now()
    is_full = setup.feed.mode == "full"
    if is_full:
        rows = (await reader.census()).rows
    headers = sealed(tuple(reader.layout.columns), f"feed/{name}/headers")
    async with database.transaction() as tx:
        if is_full:
            known = await feed_rows.count_missing(tx, name, run, calendar.civil_date(now))
        await store.begin_run(tx, name, rows, known, headers, now)
        return await store.load_feed(tx.sql, name)


async def _fail(database: Database, setup: Setup, broken: FeedBroken) -> None:
    """Store why the feed cannot be read. It keeps its place, and the wait before the next try doubles each time."""
    name = setup.feed.feed
    async with database.transaction() as tx:
        feed = await store.lock_feed(tx, name)
        assert feed is not None
        doublings = min(feed.failures, _DOUBLINGS_MAX)
        seconds = min(RETRY_SECONDS_MIN * 2**doublings, RETRY_SECONDS_MAX)
        now = clock.now()
        await store.fail(tx, name, problem_json(broken), now + timedelta(seconds=seconds), now)
    log.warning("feed %s cannot be read: %s", name, broken.code)


async def _end_missing(database: Database, setup: Setup, run: int) -> int:
    """End the facts of one page of rows that the last full load did not have. After the last page the run is done."""
    name, now = setup.feed.feed, clock.now()
    async with database.transaction() as tx:
        today = calendar.civil_date(now)
        known = await feed_rows.lock_missing(tx, name, run, today, page_rows(setup.feed.kind))
        if known:
            ended = await end_missing(tx, setup, run, known, now)
            await store.count_ended(tx, name, run, ended, now)
        else:
            missing = (await store.load_run(tx.sql, name, run)).missing
            next_at = now + timedelta(seconds=setup.feed.every_seconds)
            await store.settle_run(tx, name, run, state="done", next_at=next_at, missing=missing, problem=b"", at=now)
    return len(known) + 1
