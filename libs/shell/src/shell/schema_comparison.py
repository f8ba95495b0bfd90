"""Compare the migrated database of a service with its row classes, which define the schema.

Every table of `create_platform_tables` must exist, and two comparisons must find nothing: Alembic's own, and one of
PostgreSQL's catalogs. For the second one the tables are created from the row classes in a further schema, inside a
transaction that is rolled back. It also covers checks, partial indexes, collations and identities, which Alembic does
not compare. Out of scope are storage options, triggers, functions, views and the columns of the tables of the platform
(`shell.store.platform_tables`, `shell.access.read_budget`, `shell.audit.tables`).
"""

import asyncio
import importlib
import pkgutil
import re
from typing import Any, Final

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from shell.access.read_budget import PERSON_READS
from shell.audit.tables import AUDIT_TABLES
from shell.store.migrate import VERSION_TABLE, sync_engine
from shell.store.platform_tables import PLATFORM_TABLES, REQUEST_KEYS
from shell.testing import migrated_database


def _tables_of(statements: str) -> frozenset[str]:
    return frozenset(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statements))


_REQUIRED: Final = _tables_of(PLATFORM_TABLES + AUDIT_TABLES)
_PLATFORM: Final = _tables_of(PLATFORM_TABLES + REQUEST_KEYS + PERSON_READS + AUDIT_TABLES) | {VERSION_TABLE}
_DECLARED: Final = "declared_by_row_classes"
# One line per object of the schema :name. Names of unnamed constraints depend on their order, so they are ignored.
_OBJECTS: Final = """
WITH tables AS (SELECT oid, relname FROM pg_class WHERE relnamespace = CAST(:name AS regnamespace)
                AND relkind IN ('r', 'p') AND relname <> ALL (:platform))
SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod),
                 CASE WHEN attnotnull THEN 'not null' END, 'default ' || pg_get_expr(adbin, adrelid),
                 CASE attidentity WHEN 'a' THEN 'identity' END,
                 'collate ' || nullif(collname, 'default'))
  FROM tables t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_collation c ON c.oid = attcollation
  LEFT JOIN pg_attrdef d ON adrelid = t.oid AND adnum = attnum
UNION ALL SELECT concat_ws(' ', 'constraint', relname, pg_get_constraintdef(c.oid))
  FROM tables t JOIN pg_constraint c ON conrelid = t.oid AND contype <> 'n'
UNION ALL SELECT concat_ws(' ', 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid))
  FROM tables t JOIN pg_index ON indrelid = t.oid
"""


async def schema_differences(service: str) -> list[str]:
    """Return one line per difference between the row classes of a service and a new, migrated database."""
    _import_row_classes(service)
    async with migrated_database(service) as database:
        return await asyncio.to_thread(_differences, service, database.url)


def _import_row_classes(service: str) -> None:
    for module in pkgutil.walk_packages(importlib.import_module(service).__path__, f"{service}."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


def _differences(service: str, url: str) -> list[str]:
    engine = sync_engine(url)
    with engine.connect() as connection:
        missing = _REQUIRED - set(sa.inspect(connection).get_table_names(service))
        found = [f"no platform table {name}: 0001 calls create_platform_tables()" for name in sorted(missing)]
        found += [f"alembic: {difference}" for difference in _by_alembic(service, connection)]
        connection.rollback()
        migrated = _objects(connection, service)
        declared = _declared_objects(service, connection)
        connection.rollback()
    engine.dispose()
    found += [f"only migrated: {line}" for line in sorted(migrated - declared)]
    found += [f"only in row classes: {line}" for line in sorted(declared - migrated)]
    return found


def _by_alembic(service: str, connection: sa.Connection) -> list[Any]:
    def is_compared(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name == service
        return kind != "table" or name not in _PLATFORM

    def is_of_service(thing: Any, _name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or thing.schema == service

    options = {
        "include_schemas": True,
        "include_name": is_compared,
        "include_object": is_of_service,
        "compare_type": True,
        "compare_server_default": True,
    }
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata)
    return found


def _declared_objects(service: str, connection: sa.Connection) -> set[str]:
    tables = [table for table in SQLModel.metadata.sorted_tables if table.schema == service]
    connection.execute(sa.text(f"CREATE SCHEMA {_DECLARED}"))
    renamed = connection.execution_options(schema_translate_map={service: _DECLARED})
    SQLModel.metadata.create_all(renamed, tables)
    return _objects(connection, _DECLARED)


def _objects(connection: sa.Connection, schema: str) -> set[str]:
    connection.execute(sa.text(f'SET LOCAL search_path TO "{schema}"'))
    rows = connection.execute(sa.text(_OBJECTS), {"name": schema, "platform": list(_PLATFORM)})
    return {line.replace(f"{schema}.", "") for (line,) in rows}
