"""A front-end database, read and never written: one connection, pages by the order of the feed, plain cells.

Rows arrive a few at a time, and a page ends at a bound of characters. A value that is longer than a row may be is cut
as soon as it arrives. Everything here blocks and runs in a thread. Messages of drivers may hold values or passwords:
only our own codes leave this module.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from common.calendar import SHANGHAI
from sqlalchemy import and_, bindparam, column, create_engine, false, func, literal_column, or_, select, table, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import Select
from sqlalchemy.sql.elements import ColumnClause, quoted_name

from ingestion.exchange.feeds import Feed, FeedBroken
from ingestion.files.table import CELL_CHARS_KEPT, ROW_CHARS_MAX, Cell, TooLong

T = TypeVar("T")
PAGE_CHARS_MAX: Final = 4 * 1024**2
_ROWS_AT_ONCE: Final = 20
_LONGEST: Final = 4 * ROW_CHARS_MAX  # bytes of a value that could still fit into a row
# A second lock: the first one is an account that may only read.
_READ_ONLY: Final = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


class Frontend:
    """One open connection. Raises FeedBroken: `source_away` where waiting may help, else what somebody must mend."""

    def __init__(self, url: str, feed: Feed) -> None:
        self._feed = feed
        try:
            self._engine: Engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as wrong:
            code = "url_invalid" if isinstance(wrong, ArgumentError | ValueError) else "driver_missing"
            code = "driver_missing" if isinstance(wrong, NoSuchModuleError) else code
            raise FeedBroken(code) from None
        try:
            self._connection: Connection = self._engine.connect()
        except (SQLAlchemyError, OSError):
            self._engine.dispose()
            raise FeedBroken("source_away") from None
        self.names = self._probe()

    def close(self) -> None:
        try:
            self._connection.close()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()
        self._engine.dispose()

    def _probe(self) -> dict[str, str]:
        """The columns that are there: lower case → as the database calls them."""
        try:
            found = self._ask(
                lambda c: list(c.execute(select(literal_column("*")).select_from(self._from()).where(false())).keys())
            )
        except FeedBroken:
            self.close()
            raise
        return {name.lower(): name for name in found}

    def missing(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if name.lower() not in self.names]

    def census(self, columns: Sequence[str]) -> tuple[int, list[int]]:
        """How many rows there are, and of each column how many of them are not empty."""
        query = select(func.count(), *(func.count(self._column(name)) for name in columns)).select_from(self._from())
        row = self._ask(lambda c: c.execute(query).one())
        return int(row[0]), [int(count) for count in row[1:]]

    def page(
        self, columns: Sequence[str], order: Sequence[str], after: Sequence[Any], since: Any, limit: int
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows in the order of `order`: behind the place `after`, or from the value `since` of its first column on, or
        from the beginning; and whether others may follow. Values are as the driver gives them, or TooLong."""
        query: Select[Any] = select(*(self._column(name) for name in columns)).select_from(self._from())
        by = [self._column(name) for name in order]
        if after:
            query = query.where(_behind(by, after))
        elif since is not None:
            query = query.where(by[0] >= bindparam("since", since, unique=True))
        else:
            query = query.where(by[0].is_not(None))
        query = query.order_by(*by).limit(limit)
        query = query.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
        place = [columns.index(name) for name in order]

        def gather(connection: Connection) -> tuple[list[tuple[Any, ...]], bool]:
            with connection.execute(query) as rows:
                return _gathered(rows, place, limit)

        return self._ask(gather)

    def _column(self, name: str) -> ColumnClause[Any]:
        return column(self.names[name.lower()])

    def _from(self) -> Any:
        if self._feed.query is not None:
            query = self._feed.query.strip().rstrip(";").replace(":", r"\:")  # a colon names no parameter
            return text(f"{query}\n").columns().subquery("exchanged")  # a comment may end it
        assert self._feed.table is not None
        return table(_quoted(self._feed.table), schema=_quoted(self._feed.schema) if self._feed.schema else None)

    def _ask(self, question: Callable[[Connection], T]) -> T:
        """One transaction, read only, given back at once: nothing of theirs stays locked between two pages."""
        try:
            if command := _READ_ONLY.get(self._connection.dialect.name):
                self._connection.execute(text(command))
            answer = question(self._connection)
            self._connection.rollback()
        except DBAPIError as wrong:
            self._give_up()
            raise FeedBroken("source_away" if wrong.connection_invalidated else "table_unreadable") from None
        except OSError:
            self._give_up()
            raise FeedBroken("source_away") from None
        except SQLAlchemyError:
            self._give_up()
            raise FeedBroken("table_unreadable") from None
        return answer

    def _give_up(self) -> None:
        try:
            self._connection.rollback()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()


def _gathered(rows: Iterable[Any], place: Sequence[int], limit: int) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows of a page. It ends at `limit` rows, or behind PAGE_CHARS_MAX with the first row at another place than
    the one before, so that rows of one place come together."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        found.append(tuple(map(_plain, row)))
        size += sum(len(value) for value in found[-1] if isinstance(value, str | bytes))
        if size > PAGE_CHARS_MAX and len(found) > 1 and any(found[-1][at] != found[-2][at] for at in place):
            return found, True
    return found, len(found) >= limit


def _quoted(name: str) -> quoted_name:
    """As it is written: the dialect quotes what needs it, and folds what is all in one case."""
    return quoted_name(name, None)


def _behind(by: Sequence[ColumnClause[Any]], after: Sequence[Any]) -> Any:
    """(a, b, c) > (x, y, z), written out: not every database compares rows."""
    bound: list[Any] = [bindparam(f"after_{at}", value, unique=True) for at, value in enumerate(after)]
    steps = [
        and_(*(by[i] == bound[i] for i in range(at)), by[at] > bound[at]) if at else by[0] > bound[0]
        for at in range(len(by))
    ]
    return and_(by[0] >= bound[0], or_(*steps)) if len(by) > 1 else steps[0]


# ── cells ───────────────────────────────────────────────────────────────────────────────────────────────────


def _plain(value: Any) -> Any:
    """A value that can be compared, kept and bound again: a large object is read as far as a row may be long."""
    if hasattr(value, "read"):
        value = value.read(1, _LONGEST + 1) if hasattr(value, "size") else value.read(_LONGEST + 1)
    if isinstance(value, memoryview | bytearray | bytes):
        start = bytes(value[: _LONGEST + 1])
        return start if len(start) <= _LONGEST else TooLong(_decoded(start[: 4 * CELL_CHARS_KEPT])[:CELL_CHARS_KEPT])
    if isinstance(value, str) and len(value) > ROW_CHARS_MAX:
        return TooLong(value[:CELL_CHARS_KEPT])
    return value


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def cell_of(value: Any) -> Cell:
    """A value of a driver as a cell of a file would hold it."""
    match value:
        case Decimal():
            whole = value.is_finite() and value == value.to_integral_value()
            return int(value) if whole else str(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(SHANGHAI).replace(tzinfo=None)
        case bytes():
            try:
                return value.decode().rstrip()
            except UnicodeDecodeError:
                return value.hex()
        case str():
            return value.rstrip()  # CHAR columns are filled up with spaces
        case timedelta() | UUID():
            return str(value)
        case _:
            return value  # type: ignore[no-any-return]
