"""Reads of one table, as SQLAlchemy statements over the row classes.

A read is a function that returns its statement:

    @reads.rows(Group)
    def list_settling(limit: int) -> Select[GroupRow]:
        return select(GroupRow).where(GroupRow.state == "settling").order_by(GroupRow.group_id).limit(limit)

    groups = await list_settling(tx, 100)  # list[Group]; the first argument is a connection or a transaction

The function runs once, at import, with `$1`, `$2`, … as arguments. Calls use its SQL text with asyncpg. So its body is
one expression without conditions; an optional filter is `if_given`. The fields of the shape are the selected columns.
Constants are part of the text, so that partial indexes apply.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import asyncpg
from sqlalchemy import ColumnElement, any_, literal_column, or_
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar as Select

from shell.store.transaction import Tx

__all__ = ["Select", "among", "col", "existing_row", "if_given", "row", "rows", "select", "value", "values"]

P = ParamSpec("P")
T = TypeVar("T")
Source: TypeAlias = asyncpg.Connection | Tx
Statement: TypeAlias = Callable[P, Select[Any]]
Read: TypeAlias = Callable[Concatenate[Source, P], Coroutine[Any, Any, T]]

_dialect: Final = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def rows(shape: type[T]) -> Callable[[Statement[P]], Read[P, list[T]]]:
    """All rows. `shape`, here and below: a NamedTuple whose fields are columns of the table."""
    make: Any = shape
    return lambda build: _read(build, "fetch", lambda found: list(map(make._make, found)), make)


def row(shape: type[T]) -> Callable[[Statement[P]], Read[P, T | None]]:
    """The first row, or None."""
    return lambda build: _read(build, "fetchrow", _made(shape), shape)


def existing_row(shape: type[T]) -> Callable[[Statement[P]], Read[P, T]]:
    """The first row. Raises LookupError without one."""
    make: Any = shape

    def made(found: Any) -> T:
        if found is None:
            raise LookupError(f"no row for {shape.__name__}")
        return make._make(found)  # type: ignore[no-any-return]

    return lambda build: _read(build, "fetchrow", made, shape)


def values(build: Callable[P, Select[T]]) -> Read[P, list[T]]:
    """The values of one column."""
    return _read(build, "fetch", lambda found: [row[0] for row in found])


def value(build: Callable[P, Select[T]]) -> Read[P, T | None]:
    """The value of one column in the first row; None if it is NULL or there is no row."""
    return _read(build, "fetchval", lambda found: found)


def if_given(given: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition; every row meets it if `given` is None. `given`: a parameter that the condition uses. The condition
    comes first in the SQL text, because it gives the parameter its type."""
    return or_(condition, given.is_(None))


def among(column: Any, given: Any) -> ColumnElement[bool]:
    """The condition that the column has one of the values of the list `given`."""
    return column == any_(given)  # type: ignore[no-any-return]


def _made(shape: Any) -> Callable[[Any], Any]:
    """Return a function that turns a found row into the shape, and None into None."""
    return lambda found: None if found is None else shape._make(found)


def _read(build: Statement[P], method: str, made: Callable[[Any], T], shape: Any = None) -> Read[P, T]:
    """Return the read of a statement. `method`: the method of the asyncpg connection; `made` turns its result into the
    result of the read. `shape`: its fields replace the columns of the statement.

    Raises TypeError at import for a wrong statement (see `_text`). The read raises TypeError for wrong arguments, and
    if it locks rows (`FOR UPDATE`) without a transaction."""
    names = tuple(signature(build).parameters)
    text = _text(build, names, shape)
    locks = " FOR " in text

    @wraps(build)
    async def read(source: Source, /, *args: P.args, **kwargs: P.kwargs) -> T:
        given = args if not kwargs and len(args) == len(names) else _in_order(names, args, kwargs)
        connection = source.sql if isinstance(source, Tx) else source
        if locks and connection is source:
            raise TypeError(f"{build.__qualname__} locks rows, so it takes a transaction")
        return made(await getattr(connection, method)(text, *given))

    return read


def _in_order(names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments in the order of the parameters `names`. Raises TypeError if one is missing or unknown, also
    if it has a default."""
    rest = names[len(args) :]
    if kwargs.keys() != set(rest) or len(args) > len(names):
        raise TypeError(f"the parameters are {', '.join(names)}")
    return (*args, *(kwargs[name] for name in rest))


def _text(build: Callable[..., Select[Any]], names: tuple[str, ...], shape: Any) -> str:
    """Return the SQL text of the statement, with `$1`, `$2`, … for its parameters and all constants in the text. Raises
    TypeError for a parameter that the statement does not use."""
    query: Any = build(**{name: literal_column(f"${n}") for n, name in enumerate(names, 1)})
    if shape is not None:
        query = query.with_only_columns(*_columns(query, shape))
    text = str(query.compile(dialect=_dialect, compile_kwargs={"literal_binds": True}))
    if unused := [name for n, name in enumerate(names, 1) if not re.search(rf"\${n}\b", text)]:
        raise TypeError(f"{build.__qualname__} does not use {', '.join(unused)}")
    return text


def _columns(query: Any, shape: Any) -> list[Any]:
    """Return the columns of the shape, in its order. The statement must read one table. Raises TypeError for a field
    that is no column."""
    (table,) = query.get_final_froms()
    if missing := [name for name in shape._fields if name not in table.c]:
        raise TypeError(f"{table} has no column {', '.join(missing)}")
    return [table.c[name] for name in shape._fields]
