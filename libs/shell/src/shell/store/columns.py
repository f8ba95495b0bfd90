"""Columns of row classes (`tables.py`), named after the types of PostgreSQL.

The row classes are compared with the migrated database (`shell.schema_comparison`), so they name everything that a
migration gives a column. Options: `key` (of the primary key), `null` (may be NULL), `default` (an SQL expression),
`references` (`schema.table.column`) and `on_delete`.
"""

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field


def _column(
    kind: Any,
    *arguments: Any,
    key: bool = False,
    null: bool = False,
    default: str | None = None,
    references: str | None = None,
    on_delete: str | None = None,
    is_counted: bool = False,
) -> Any:
    if references is not None:
        arguments = (*arguments, sa.ForeignKey(references, ondelete=on_delete))
    server_default = None if default is None else sa.text(default)
    column: sa.Column[Any] = sa.Column(
        kind, *arguments, primary_key=key, nullable=null, server_default=server_default, autoincrement=is_counted
    )
    return Field(sa_column=column)


uuid = partial(_column, postgresql.UUID(as_uuid=False))  # a string in Python
uuids = partial(_column, sa.ARRAY(postgresql.UUID(as_uuid=False)))
text = partial(_column, sa.Text())
texts = partial(_column, sa.ARRAY(sa.Text()))
byte_text = partial(_column, sa.Text(collation="C"))  # in the order of its bytes
smallint = partial(_column, sa.SmallInteger())
integer = partial(_column, sa.Integer())
bigint = partial(_column, sa.BigInteger())
identity = partial(_column, sa.BigInteger(), sa.Identity(always=True), is_counted=True)
boolean = partial(_column, sa.Boolean())
double = partial(_column, postgresql.DOUBLE_PRECISION())
blob = partial(_column, sa.LargeBinary())
day = partial(_column, sa.Date())
instant = partial(_column, sa.DateTime(timezone=True))
periods = partial(_column, postgresql.DATEMULTIRANGE())
