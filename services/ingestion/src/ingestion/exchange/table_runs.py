"""One step of one reading ("run") of a front-end table: pages are read and recorded, and the run ends.

A page and the place at which it ends are saved in one transaction. A row that is read again changes nothing.
"""

import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from common import calendar
from prometheus_client import Counter
from shell import clock
from shell.halving import apply_by_halves, repeat_while_unavailable
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.exchange.feeds import FeedBroken, Setup
from ingestion.exchange.layouts import Layout
from ingestion.exchange.pages import Counts
from ingestion.exchange.positions import Position, kept_newest, opened, sealed, start_of
from ingestion.exchange.reader import Reader
from ingestion.exchange.row_records import record_page, reject_rows
from ingestion.exchange.store import feed_rows
from ingestion.exchange.store import feeds as store
from ingestion.exchange.store.feeds import StoredRun
from ingestion.exchange.table_rows import TableRow
from ingestion.register import quotas
from ingestion.settings import FeedSettings

log = logging.getLogger(__name__)
STEP_SECONDS: Final = 5.0
PAGE_ROWS: Final = 500
PAGE_HOUSEHOLDS: Final = 40  # each names up to fifty people
CENSUS_EVERY: Final = 50  # runs of a table that is read by changes
MISSING_FREE: Final = 10
HOPELESS_FROM: Final = 10_000
HOPELESS_GOOD_MIN: Final = 0.05
UNSURE_SECONDS_MAX: Final = 600
rows_counted = Counter("shouwang_feed_rows", "Rows of front-end tables", ["feed", "status"])
_encode = msgspec.json.Encoder().encode
SaveRows: TypeAlias = Callable[[Tx, Layout, int, Sequence[TableRow], datetime], Coroutine[Any, Any, Counts]]


class Overtaken(Exception):
    """Another process has moved the cursor of the feed meanwhile."""


class _End(NamedTuple):
    """How a run ends. `missing`: rows that earlier runs read and this one did not. `is_ending`: their facts end now."""

    problem: FeedBroken | None = None
    missing: int = 0
    is_ending: bool = False


def page_rows(kind: str) -> int:
    """The number of rows that one transaction records."""
    return PAGE_HOUSEHOLDS if kind == "household" else PAGE_ROWS


def problem_json(broken: FeedBroken | None) -> bytes:
    """A problem as the tables of feeds and runs keep it; empty for none."""
    return _encode({"code": broken.code, **broken.extra}) if broken else b""


class Run:
    """A run in progress. `position`: of the last row read; `cursor`: this position sealed; `since`: the watermark at
    which the run begins; `rows_read`, `rejected`: of the whole run, over all its steps."""

    def __init__(self, database: Database, setup: Setup, reader: Reader, feed: Any) -> None:
        self.database, self.setup, self.reader = database, setup, reader
        self.name, self.run = setup.feed.feed, int(feed.run)
        self.cursor: bytes = feed.cursor
        self.position: Position = opened(self.cursor, self._context("cursor"))
        newest = opened(feed.newest, self._context("newest"))
        watermark = setup.feed.watermark
        self.since = start_of(newest[0], watermark) if watermark and newest else None
        self.is_full = setup.feed.mode == "full"
        self.limit = page_rows(setup.feed.kind)
        self.rows_read = self.rejected = 0

    def _context(self, field: str) -> str:
        return f"feed/{self.name}/{field}"

    async def read(self) -> int:
        """Read pages for STEP_SECONDS at most. Returns the rows read, plus 1. Raises FeedBroken, Overtaken."""
        async with self.database.reading() as connection:
            run = await store.load_run(connection, self.name, self.run)
        first = self.rows_read = run.rows_read
        self.rejected = run.rejected
        until = monotonic() + STEP_SECONDS
        feed = self.setup.feed
        while True:
            has_more = await self._read_page()
            if self._is_hopeless():
                await self._settle(_End(FeedBroken("too_many_rejects")))
            elif not has_more:
                await self._settle(await self._end(run))
            elif monotonic() < until and not await quotas.must_wait(self.database, feed.source, feed.kind):
                continue
            return int(self.rows_read - first) + 1

    async def _read_page(self) -> bool:
        """Read and record one page. Returns whether the table has further rows."""
        found = await self.reader.next(self.position, self.since, self.limit, self.rows_read)
        if not found.rows:
            return found.more
        self.position = found.rows[-1].position
        counts = await self._record(found.rows)
        self.rows_read += len(found.rows)
        self.rejected += counts.rejected
        if changed := len(found.rows) - counts.unchanged:
            await quotas.owe(self.database, {self.setup.feed.source: changed})
        return found.more

    def _is_hopeless(self) -> bool:
        """Whether so many rows are rejected that further reading is useless."""
        good = self.rows_read - self.rejected
        return self.rejected >= HOPELESS_FROM and good < HOPELESS_GOOD_MIN * self.rows_read

    async def _record(self, rows: Sequence[TableRow]) -> Counts:
        """Record the page in one transaction. After a bug, record it by halves, down to the one faulty row, which is
        rejected. The cursor moves with the last row of the page."""
        total = Counts(0, 0, 0, 0)
        end = sealed(rows[-1].position, self._context("cursor"))

        async def save(part: Sequence[TableRow], *, by: SaveRows) -> None:
            nonlocal total
            to = end if part[-1] is rows[-1] else None
            total += await repeat_while_unavailable(lambda: self._commit(part, to, by))

        async def reject(part: Sequence[TableRow], error: Exception) -> None:
            log.warning("a row of feed %s could not be recorded: %s", self.name, type(error).__name__)
            await save(part, by=reject_rows)

        await apply_by_halves(rows, partial(save, by=record_page), reject, passing=(Overtaken, FeedBroken))
        return total

    async def _commit(self, rows: Sequence[TableRow], to: bytes | None, save: SaveRows) -> Counts:
        """Save rows in one transaction, and move the cursor to `to`. Raises Overtaken."""
        now = clock.now()
        async with self.database.transaction() as tx:
            counts = await save(tx, self.reader.layout, self.run, rows, now)
            newest = self._newest(rows[-1]) if to is not None else None
            by = store.Advance(self.run, self.cursor, to, newest, *counts)
            if not await store.advance(tx, self.name, by, now):
                raise Overtaken(self.name)
        if to is not None:
            self.cursor = to
        for status, count in counts._asdict().items():
            rows_counted.labels(self.name, status).inc(count)
        return counts

    def _newest(self, row: TableRow) -> bytes | None:
        """The watermark of the row, sealed; None if the table has none, or if it is unreadable."""
        watermark = self.setup.feed.watermark
        if watermark is None:
            return None
        newest = kept_newest(row.position[0], watermark, clock.now())
        return None if newest is None else sealed((newest,), self._context("newest"))

    async def _end(self, run: StoredRun) -> _End:
        """Decide how the run ends. `run`: as it was stored when this step began.

        Missing rows count only if the table had as many rows before and after the reading as were read. A table that
        is read by changes is counted once in CENSUS_EVERY runs."""
        if not self.is_full and self.run % CENSUS_EVERY != 1:
            return _End()
        census = await self.reader.census()
        if census.empty:
            return _End(FeedBroken("column_empty", rows=census.empty))
        if not self.is_full:
            return _End()
        if not run.rows_before == self.rows_read == census.rows:
            return _End(FeedBroken("table_moved", before=run.rows_before, read=self.rows_read, after=census.rows))
        return await self._end_with_missing(run.known_before or 0)

    async def _end_with_missing(self, known: int) -> _End:
        """Count the missing rows of a full load. Too many of them, or an empty table, need an officer.

        `known`: number of rows that were alive when the run began. Rows that it found first do not count."""
        async with self.database.transaction() as tx:
            await feed_rows.delete_unseen_rejects(tx, self.name, self.run)
            today = calendar.civil_date(clock.now())
            missing = await feed_rows.count_missing(tx, self.name, self.run, today)
        if not missing or self.setup.rules.missing == "nothing":
            return _End(missing=missing)
        allowed = max(MISSING_FREE, known * self.setup.feed.missing_percent_max // 100)
        if self.rows_read == 0 or missing > allowed:
            return _End(FeedBroken("too_many_missing", missing=missing, known=known), missing)
        return _End(missing=missing, is_ending=True)

    async def _settle(self, end: _End) -> None:
        """Store the end of the run and the time of the next run."""
        state, now = self._state_after(end), clock.now()
        seconds = self.setup.feed.every_seconds
        if state == "ending":
            seconds = 0
        elif state == "unsure":
            seconds = min(seconds, UNSURE_SECONDS_MAX)
        async with self.database.transaction() as tx:
            await store.settle_run(
                tx,
                self.name,
                self.run,
                state=state,
                next_at=now + timedelta(seconds=seconds),
                missing=end.missing,
                problem=problem_json(end.problem),
                at=now,
            )
            await store.forget_runs(tx, self.name, self.run, FeedSettings().runs_kept)
        if end.problem is not None:
            level = logging.ERROR if state == "held" else logging.WARNING
            log.log(level, "feed %s: %s", self.name, end.problem.code)

    def _state_after(self, end: _End) -> str:
        """The state of the run at its end. `held` waits for an officer; `unsure` is read again soon."""
        if end.problem is None:
            return "ending" if end.is_ending else "done"
        if end.problem.code == "too_many_missing":
            return "held"
        if end.problem.code == "column_empty" and not self.is_full:
            return "done"
        return "unsure"
