"""A front-end table that is being read: its driver blocks, so it has a thread of its own, and a limit of patience."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from ingestion.exchange.feeds import FeedBroken, Setup, url_of
from ingestion.exchange.frontend import Frontend
from ingestion.exchange.lines import Layout, Line, lay_out, line_of
from ingestion.exchange.places import Place
from ingestion.settings import FeedSettings

T = TypeVar("T")
# Answers that are still outstanding: no second question is asked of a database that owes one.
_owed: Final[dict[str, Future[Any]]] = {}


class Found(NamedTuple):
    """Rows in the order of the table; `more`: others follow."""

    lines: list[Line]
    more: bool


class Census(NamedTuple):
    """How many rows the table has, and how many of them have an empty key or watermark."""

    rows: int
    empty: dict[str, int]


class Reader:
    """Used by one task. Everything raises FeedBroken."""

    def __init__(self, setup: Setup, thread: ThreadPoolExecutor) -> None:
        self.setup = setup
        self._thread = thread
        self._frontend: Frontend
        self.layout: Layout

    @classmethod
    async def open(cls, setup: Setup) -> "Reader":
        url, feed = url_of(setup.feed), setup.feed
        owed = _owed.get(feed.feed)
        if owed is not None and not owed.done():
            raise FeedBroken("answer_late")
        reader = cls(setup, ThreadPoolExecutor(1, thread_name_prefix=f"feed-{feed.feed}"))
        try:
            reader._frontend = await reader._ask(lambda: Frontend(url, feed))
            reader.layout = await reader._ask(lambda: lay_out(setup, reader._frontend.names))
        except BaseException:
            reader.close()
            raise
        return reader

    def close(self) -> None:
        """Behind whatever is still outstanding."""
        if hasattr(self, "_frontend"):
            self._thread.submit(self._frontend.close)
        self._thread.shutdown(wait=False)

    async def census(self) -> Census:
        order = self.setup.order
        rows, filled = await self._ask(lambda: self._frontend.census(order))
        return Census(rows, {name: rows - count for name, count in zip(order, filled, strict=True) if count < rows})

    async def next(self, after: Place, since: Any, limit: int, number: int) -> Found:
        """The rows behind `after`, or from the watermark `since` on. Rows that share one place stay together: those at
        the end of a full page are left for the next. `number`: of the row before them."""
        return await self._ask(lambda: self._next(after, since, limit, number))

    def _next(self, after: Place, since: Any, limit: int, number: int) -> Found:
        values, more = self._frontend.page(self.layout.columns, self.setup.order, after, since, limit)
        lines = [line_of(self.layout, row, at) for at, row in enumerate(values, number + 1)]
        if not more:
            return Found(lines, False)
        last = lines[-1].place
        while lines and lines[-1].place == last:
            lines.pop()
        if not lines or lines[-1].place == after:
            raise FeedBroken("order_not_unique", columns=self.setup.order)
        return Found(lines, True)

    async def _ask(self, question: Callable[[], T]) -> T:
        name, asked = self.setup.feed.feed, self._thread.submit(question)
        _owed[name] = asked
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), FeedSettings().answer_seconds_max)
        except TimeoutError:
            raise FeedBroken("answer_late") from None
