"""Write many rows in one statement.

Names of tables and columns come from the row classes, never from data. Values are always parameters. Array columns are
not possible, because unnest flattens them: keep arrays as JSON or bytes.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from shell.store.transaction import Tx

_dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@cache
def _table(model: type[SQLModel]) -> tuple[str, dict[str, str]]:
    table = model.__table__  # type: ignore[attr-defined]
    columns = {column.name: _type_name(column) for column in table.columns}
    return f'"{table.schema}"."{table.name}"', columns


def _type_name(column: Any) -> str:
    """Return the name of the column's type without its collation, which is no part of the name of an array's type."""
    name: str = column.type.compile(dialect=_dialect)
    return name.partition(" COLLATE ")[0]


def _array(position: int, type_name: str) -> str:
    """Return the parameter at `position` as an array of this type. Ids are sent as text: a cast in the server costs a
    tenth of a codec call per element in Python."""
    return f"${position}::text[]::uuid[]" if type_name == "UUID" else f"${position}::{type_name}[]"


@cache
def _insert(model: type[SQLModel], columns: tuple[str, ...]) -> str:
    name, types = _table(model)
    listed = ", ".join(f'"{column}"' for column in columns)
    arrays = ", ".join(_array(i, types[column]) for i, column in enumerate(columns, 1))
    return f"INSERT INTO {name} AS t ({listed}) SELECT * FROM unnest({arrays})"  # noqa: S608


@cache
def _upsert(model: type[SQLModel], columns: tuple[str, ...], key: tuple[str, ...], guard: str | None) -> str:
    changed = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c not in key)
    where = f" WHERE {guard}" if guard else ""
    return f"{_insert(model, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}{where}"


@cache
def _update(model: type[SQLModel], columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    name, types = _table(model)
    changed = ", ".join(f'"{c}" = n."{c}"' for c in columns if c not in key)
    listed = ", ".join(f'"{column}"' for column in columns)
    arrays = ", ".join(_array(i, types[column]) for i, column in enumerate(columns, 1))
    where = " AND ".join(f't."{c}" = n."{c}"' for c in key)
    return f"UPDATE {name} AS t SET {changed} FROM unnest({arrays}) AS n ({listed}) WHERE {where}"  # noqa: S608


def columns_of(rows: Sequence[Sequence[Any]], *, width: int = 0) -> list[list[Any]]:
    """The columns of `rows`, as the arrays of `unnest`. `width`: the number of empty columns if there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def insert(tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert `rows` (one value per column, in the order of `columns`)."""
    if rows:
        await tx.sql.execute(_insert(model, tuple(columns)), *columns_of(rows))


async def insert_new(
    tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]], *, returning: str
) -> set[Any]:
    """Insert the rows that do not exist. Return the values of the inserted rows in the column `returning`."""
    if not rows:
        return set()
    statement = f'{_insert(model, tuple(columns))} ON CONFLICT DO NOTHING RETURNING "{returning}"'
    return {row[0] for row in await tx.sql.fetch(statement, *columns_of(rows))}


async def update(
    tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]], *, key: Sequence[str]
) -> None:
    """Replace `columns` of existing rows, found by `key`, that the caller has locked. This costs less than `upsert`,
    which searches for a conflict for each row."""
    if rows:
        await tx.sql.execute(_update(model, tuple(columns), tuple(key)), *columns_of(rows))


async def upsert(
    tx: Tx,
    model: type[SQLModel],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    key: Sequence[str],
    guard: str | None = None,
) -> None:
    """Insert rows, or replace the stored rows with the same `key`.

    `guard`: the condition for a replacement, on `t` (the stored row) and `excluded` (the new row), such as
    `t.version < excluded.version`. Rows must be unique by key. They are written in key order, so that two writers
    cannot deadlock."""
    if not rows:
        return
    columns, key = tuple(columns), tuple(key)
    at = [columns.index(column) for column in key]
    ordered = sorted(rows, key=lambda row: [row[i] for i in at])
    await tx.sql.execute(_upsert(model, columns, key, guard), *columns_of(ordered))
