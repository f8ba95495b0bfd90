"""One connection to a front-end database. It reads pages in the order of the feed, and never writes.

Rows arrive a few at a time. A page ends at a limit of characters. A value longer than the limit of a row is cut on
arrival. All calls block and run in a thread. A message of a driver may contain values or passwords, so errors carry
only our own codes.
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
from sqlalchemy.sql.elements import ColumnClause, ColumnElement, quoted_name

from ingestion.exchange.feeds import Feed, FeedBroken
from ingestion.files.domain.table import CELL_CHARS_KEPT, ROW_CHARS_MAX, BadCell, Cell, TooLong, chars_of

T = TypeVar("T")
Page = tuple[list[tuple[Any, ...]], bool]  # rows, and whether others may follow
PAGE_CHARS_MAX: Final = 4 * 1024**2
_ROWS_AT_ONCE: Final = 20
_DIGITS_MAX: Final = 1_000  # of a number; Python converts at most 4,300
_VALUE_BYTES_MAX: Final = 4 * ROW_CHARS_MAX  # a longer value cannot fit into a row
# In addition to an account that may only read.
_READ_ONLY: Final = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


class Frontend:
    """One open connection to the database of a feed. `names`: column in lower case → its name in the database.

    Every method except `close` raises FeedBroken: `source_away` if a later attempt may succeed, else a code for an
    error in the feed or its database."""

    def __init__(self, url: str, feed: Feed) -> None:
        self._feed = feed
        self._engine = _engine(url)
        try:
            self._connection: Connection = self._engine.connect()
        except (SQLAlchemyError, OSError):
            self._engine.dispose()
            raise FeedBroken("source_away") from None
        self.names = {name.lower(): name for name in self._column_names()}

    def close(self) -> None:
        try:
            self._connection.close()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()
        self._engine.dispose()

    def _column_names(self) -> list[str]:
        query: Select[Any] = select(literal_column("*")).select_from(self._from()).where(false())
        try:
            return self._query(lambda connection: list(connection.execute(query).keys()))
        except FeedBroken:
            self.close()
            raise

    def census(self, columns: Sequence[str]) -> tuple[int, list[int]]:
        """The number of rows, and for each column the number of its cells that are not NULL."""
        query = select(func.count(), *(func.count(self._column(name)) for name in columns)).select_from(self._from())
        row = self._query(lambda connection: connection.execute(query).one())
        return int(row[0]), [int(count) for count in row[1:]]

    def page(self, columns: Sequence[str], order: Sequence[str], after: Sequence[Any], since: Any, limit: int) -> Page:
        """Read at most `limit` rows, sorted by `order`. The page begins after the position `after`, or at the value
        `since` of the first column in `order`, or at the first row with a value there. Values have the types of the
        driver, or are TooLong or BadCell. `columns` contains `order`."""
        sort = [self._column(name) for name in order]
        query = self._select(columns).where(_start_condition(sort, after, since)).order_by(*sort).limit(limit)
        query = query.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
        position_at = [columns.index(name) for name in order]

        def fetch(connection: Connection) -> Page:
            with connection.execute(query) as rows:
                return _collect(rows, position_at, limit)

        return self._query(fetch)

    def _select(self, columns: Sequence[str]) -> Select[Any]:
        return select(*(self._column(name) for name in columns)).select_from(self._from())

    def _column(self, name: str) -> ColumnClause[Any]:
        return column(self.names[name.lower()])

    def _from(self) -> Any:
        if self._feed.query is not None:
            query = self._feed.query.strip().rstrip(";").replace(":", r"\:")  # a colon is no parameter
            return text(f"{query}\n").columns().subquery("exchanged")  # the line break ends a comment at its end
        assert self._feed.table is not None
        return table(_quoted(self._feed.table), schema=_quoted(self._feed.schema) if self._feed.schema else None)

    def _query(self, run: Callable[[Connection], T]) -> T:
        """Call `run` in a transaction and return its result.

        The transaction is read-only if _READ_ONLY has a command for the database. It ends at once, so no lock remains
        in the database of the department between two pages."""
        try:
            if command := _READ_ONLY.get(self._connection.dialect.name):
                self._connection.execute(text(command))
            result = run(self._connection)
            self._connection.rollback()
        except (SQLAlchemyError, OSError) as wrong:
            self._rollback()
            raise FeedBroken("source_away" if _is_disconnect(wrong) else "table_unreadable") from None
        return result

    def _rollback(self) -> None:
        try:
            self._connection.rollback()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()


def _engine(url: str) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ImportError):
        raise FeedBroken("driver_missing") from None
    except (ArgumentError, ValueError):
        raise FeedBroken("url_invalid") from None


def _is_disconnect(wrong: Exception) -> bool:
    if isinstance(wrong, DBAPIError):
        return wrong.connection_invalidated
    return isinstance(wrong, OSError)


def _collect(rows: Iterable[Any], position_at: Sequence[int], limit: int) -> Page:
    """Collect rows into a page of at most `limit` rows. `position_at`: indexes of the columns of the position.

    When the page has more than PAGE_CHARS_MAX characters, it ends with the next row at a new position. So it has all
    rows of the position before. The caller leaves the rows of the last position to the next page."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        found.append(tuple(map(_bounded, row)))
        size += chars_of(found[-1])
        if size > PAGE_CHARS_MAX and _is_at_new_position(found, position_at):
            return found, True
    return found, len(found) >= limit


def _is_at_new_position(rows: Sequence[tuple[Any, ...]], position_at: Sequence[int]) -> bool:
    """Whether the last row has another position than the row before it."""
    return len(rows) > 1 and any(rows[-1][at] != rows[-2][at] for at in position_at)


def _quoted(name: str) -> quoted_name:
    """The name for use in SQL. The dialect quotes it only if needed: a plain name in lower case stays unquoted."""
    return quoted_name(name, None)


def _start_condition(sort: Sequence[ColumnClause[Any]], after: Sequence[Any], since: Any) -> ColumnElement[bool]:
    """The condition for the beginning of a page: after a position, from the value `since` on, or at the first row."""
    if after:
        return _is_after(sort, after)
    if since is not None:
        return sort[0] >= bindparam("since", since, unique=True)
    return sort[0].is_not(None)


def _is_after(sort: Sequence[ColumnClause[Any]], after: Sequence[Any]) -> ColumnElement[bool]:
    """The condition (a, b, c) > (x, y, z), as single comparisons, because some databases cannot compare rows."""
    bound: list[Any] = [bindparam(f"after_{at}", value, unique=True) for at, value in enumerate(after)]
    steps = [_is_greater_at(at, sort, bound) for at in range(len(sort))]
    return and_(sort[0] >= bound[0], or_(*steps)) if len(steps) > 1 else steps[0]


def _is_greater_at(at: int, sort: Sequence[ColumnClause[Any]], bound: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that all columns before position `at` are equal, and the column at this position is greater."""
    return and_(*(sort[i] == bound[i] for i in range(at)), sort[at] > bound[at])


# ── cells ───────────────────────────────────────────────────────────────────────────────────────────────────


def _bounded(value: Any) -> Any:
    """Limit the length of a value. A longer text, list or JSON object becomes TooLong, a number with more digits than
    _DIGITS_MAX becomes BadCell, and a large object becomes bytes or text.

    Every other result can be compared, stored and bound to a query, except lists and JSON objects."""
    if hasattr(value, "read"):
        value = _read_start(value)
    if isinstance(value, memoryview | bytearray | bytes):
        start = bytes(value[: _VALUE_BYTES_MAX + 1])
        return start if len(start) <= _VALUE_BYTES_MAX else _too_long(start)
    if isinstance(value, str) and len(value) > ROW_CHARS_MAX:
        return TooLong(value[:CELL_CHARS_KEPT])
    if isinstance(value, list | dict) and chars_of([value]) > ROW_CHARS_MAX:
        return TooLong(str(value)[:CELL_CHARS_KEPT])
    if isinstance(value, Decimal) and not _has_few_digits(value):
        return BadCell("number", str(value)[:CELL_CHARS_KEPT])
    return value


def _has_few_digits(value: Decimal) -> bool:
    """Whether the number has at most _DIGITS_MAX digits, before its point and as it is written."""
    return value.adjusted() < _DIGITS_MAX and len(str(value)) <= _DIGITS_MAX


def _read_start(large_object: Any) -> Any:
    """Read a large object up to one unit above _VALUE_BYTES_MAX.

    An object with a `size` takes the position as its first argument, as in Oracle."""
    if hasattr(large_object, "size"):
        return large_object.read(1, _VALUE_BYTES_MAX + 1)
    return large_object.read(_VALUE_BYTES_MAX + 1)


def _too_long(value: bytes) -> TooLong:
    return TooLong(value[: 4 * CELL_CHARS_KEPT].decode("utf-8", "replace")[:CELL_CHARS_KEPT])


def _in_shanghai(instant: datetime) -> datetime:
    """The instant in Asia/Shanghai. At an end of the calendar, where it has no date there, it stays as it is."""
    try:
        return instant.astimezone(SHANGHAI)
    except OverflowError:
        return instant


def cell_of(value: Any) -> Cell:
    """Convert a value of a driver to a cell, as files have them."""
    match value:
        case Decimal():
            return _number(value)
        case datetime() if value.tzinfo is not None:
            return _in_shanghai(value).replace(tzinfo=None)
        case bytes():
            return _text(value)
        case str():
            return value.rstrip()  # a CHAR column pads its values with spaces
        case timedelta() | UUID():
            return str(value)
        case _:
            return value  # type: ignore[no-any-return]


def _number(value: Decimal) -> int | str:
    is_whole = value.is_finite() and value == value.to_integral_value()
    return int(value) if is_whole else str(value)


def _text(value: bytes) -> str:
    try:
        return value.decode().rstrip()
    except UnicodeDecodeError:
        return value.hex()
