"""Reads a front-end table in a thread, because drivers block, and with a time limit for each answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from shell import clock

from ingestion.exchange.feeds import Feed, FeedBroken, Setup, url_of
from ingestion.exchange.frontend import Frontend
from ingestion.exchange.layouts import Layout, make_layout
from ingestion.exchange.positions import Position
from ingestion.exchange.table_rows import TableRow, row_of
from ingestion.settings import FeedSettings

T = TypeVar("T")
# The last query of each feed. While it is pending, no other query goes to that database.
_pending: Final[dict[str, Future[Any]]] = {}


class Found(NamedTuple):
    """Rows in the order of the table. `more`: others follow."""

    rows: list[TableRow]
    more: bool


class Census(NamedTuple):
    """The number of rows, and for each column of the order with NULL cells the number of these cells."""

    rows: int
    empty: dict[str, int]


class Reader:
    """An open front-end table, for one task. Every method except `close` raises FeedBroken."""

    def __init__(self, setup: Setup, thread: ThreadPoolExecutor) -> None:
        self.setup = setup
        self._thread = thread
        self._frontend: Frontend
        self.layout: Layout

    @classmethod
    async def open(cls, setup: Setup) -> "Reader":
        """Connect to the database of a feed, and find the columns to read."""
        url, feed = url_of(setup.feed), setup.feed
        _need_no_pending(feed)
        reader = cls(setup, ThreadPoolExecutor(1, thread_name_prefix=f"feed-{feed.feed}"))
        try:
            reader._frontend = await reader._query(lambda: Frontend(url, feed))
            reader.layout = await reader._query(lambda: make_layout(setup, reader._frontend.names))
        except BaseException:
            reader.close()
            raise
        return reader

    def close(self) -> None:
        """Close the connection after the pending query, and return without waiting."""
        if hasattr(self, "_frontend"):
            self._thread.submit(self._frontend.close)
        self._thread.shutdown(wait=False)

    async def census(self) -> Census:
        order = self.setup.order
        rows, filled = await self._query(lambda: self._frontend.census(order))
        return Census(rows, {name: rows - count for name, count in zip(order, filled, strict=True) if count < rows})

    async def next(self, after: Position, since: Any, limit: int, number: int) -> Found:
        """Read rows after the position `after`, or from the watermark `since` on. `number`: of the row before them.

        Rows with one position stay together: a full page leaves the rows of its last position to the next page."""
        return await self._query(lambda: self._next(after, since, limit, number))

    def _next(self, after: Position, since: Any, limit: int, number: int) -> Found:
        values, more = self._frontend.page(self.layout.columns, self.setup.order, after, since, limit)
        now = clock.now()
        rows = [row_of(self.layout, each, at, now) for at, each in enumerate(values, number + 1)]
        if more:
            _drop_last_position(rows)
            if not rows or rows[-1].position == after:
                raise FeedBroken("order_not_unique", columns=self.setup.order)
        return Found(rows, more)

    async def _query(self, query: Callable[[], T]) -> T:
        future = self._thread.submit(query)
        _pending[self.setup.feed.feed] = future
        try:
            async with asyncio.timeout(FeedSettings().answer_seconds_max):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise FeedBroken("answer_late") from None


def _need_no_pending(feed: Feed) -> None:
    """Raise FeedBroken while an earlier query of the feed is pending."""
    pending = _pending.get(feed.feed)
    if pending is not None and not pending.done():
        raise FeedBroken("answer_late")


def _drop_last_position(rows: list[TableRow]) -> None:
    """Remove the rows at the last position. The next page begins with them."""
    last = rows[-1].position
    while rows and rows[-1].position == last:
        rows.pop()
