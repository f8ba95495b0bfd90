"""Set-based writes from rows, so that a batch is one statement.

Table and column names come from our own SQLModel classes, never from data; values always travel as parameters.
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
    columns = {column.name: column.type.compile(dialect=_dialect) for column in table.columns}
    return f'"{table.schema}"."{table.name}"', columns


def _array(position: int, type_name: str) -> str:
    """Ids travel as text: the cast in the server costs a tenth of a codec per element in Python."""
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


def arrays(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """One array per column, for `unnest`. There must be at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]


async def insert(tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert `rows` (one value per column, in the order of `columns`)."""
    if rows:
        await tx.sql.execute(_insert(model, tuple(columns)), *arrays(rows))


async def insert_new(
    tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]], *, returning: str
) -> set[Any]:
    """Insert what is not there yet; returns the values of column `returning` of the rows that were new."""
    if not rows:
        return set()
    statement = f'{_insert(model, tuple(columns))} ON CONFLICT DO NOTHING RETURNING "{returning}"'
    return {row[0] for row in await tx.sql.fetch(statement, *arrays(rows))}


async def update(
    tx: Tx, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Sequence[Any]], *, key: Sequence[str]
) -> None:
    """Replace `columns` of rows that are there and that the caller has locked, without the look for a conflict that
    `upsert` takes for each. No array columns, as there."""
    if rows:
        await tx.sql.execute(_update(model, tuple(columns), tuple(key)), *arrays(rows))


async def upsert(
    tx: Tx,
    model: type[SQLModel],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    key: Sequence[str],
    guard: str | None = None,
) -> None:
    """Insert or replace by `key`. `guard` is a condition on `t` (the stored row) and `excluded` (the new one),
    such as `t.version < excluded.version`. Rows must be unique by key; they are written in key order, so that two
    writers cannot deadlock. No array columns (they do not survive unnest): keep such values as JSON or bytes."""
    if not rows:
        return
    columns, key = tuple(columns), tuple(key)
    at = [columns.index(column) for column in key]
    ordered = sorted(rows, key=lambda row: [row[i] for i in at])
    await tx.sql.execute(_upsert(model, columns, key, guard), *arrays(ordered))
