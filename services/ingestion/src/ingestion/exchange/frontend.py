"""A front-end database, read and never written: one connection, pages by the order of the feed, plain cells.

Everything here blocks and runs in a thread. Messages of drivers may hold values or passwords: only our own codes
leave this module.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from common.clock import SHANGHAI
from sqlalchemy import and_, bindparam, column, create_engine, false, func, literal_column, or_, select, table, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import Select
from sqlalchemy.sql.elements import ColumnClause, quoted_name

from ingestion.exchange.feeds import Feed, FeedBroken
from ingestion.files.table import Cell

T = TypeVar("T")
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
    ) -> list[tuple[Any, ...]]:
        """Rows in the order of `order`: behind the place `after`, or from the value `since` of its first column on, or
        from the beginning. Values are as the driver gives them."""
        query: Select[Any] = select(*(self._column(name) for name in columns)).select_from(self._from())
        by = [self._column(name) for name in order]
        if after:
            query = query.where(_behind(by, after))
        elif since is not None:
            query = query.where(by[0] >= bindparam("since", since, unique=True))
        else:
            query = query.where(by[0].is_not(None))
        query = query.order_by(*by).limit(limit)
        return self._ask(lambda c: [tuple(map(_plain, row)) for row in c.execute(query)])

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
    """What can be compared, kept and bound again: large objects are read, the rest stays as the driver gave it."""
    if hasattr(value, "read"):
        value = value.read()
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


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
