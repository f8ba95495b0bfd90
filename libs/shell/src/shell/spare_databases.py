"""Databases of the use-case tests: migrated once, emptied after each test, and used again.

A new database costs some 100 ms, most of it for the checkpoint when it is dropped. Emptying one costs a tenth.
A database is used again only if the test left it like a new one. Schema, settings and the rows of the migrations must
be unchanged, no session may be open, and the size may have grown little. Any other database is dropped.
"""

import asyncio
import atexit
import hashlib
import importlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg

from shell.store.migrate import migrate, migrations_folder

GROWTH_BYTES_MAX: Final = 4 * 1024 * 1024
SESSIONS_END_SECONDS_MAX: Final = 2.0

# Tables of the service, but not those of PostgreSQL. Partitions are emptied through their parents.
_TABLES = """SELECT c.oid FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')"""

# Everything except rows that a test could change. One line per object, so that their digest can be compared.
_SCHEMA = f"""
WITH mine AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
objects AS (
    SELECT concat_ws('/', c.relname, c.relkind, c.relrowsecurity, c.reloptions) AS line
        FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM mine)
    UNION ALL SELECT concat_ws('/', a.attrelid::regclass, attname, atttypid, attnotnull, attisdropped)
        FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM mine))
    UNION ALL SELECT concat_ws('/', conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace IN (SELECT oid FROM mine)
    UNION ALL SELECT concat_ws('/', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat_ws('/', proname, prosrc) FROM pg_proc WHERE pronamespace IN (SELECT oid FROM mine)
    UNION ALL SELECT concat_ws('/', polname, polrelid::regclass) FROM pg_policy
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT concat_ws('/', starelid::regclass, 'analysed') FROM pg_statistic WHERE starelid IN ({_TABLES})
)
SELECT md5(coalesce(string_agg(line, '|' ORDER BY line), '')) FROM objects
"""  # noqa: S608

_BYTES = f"SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM ({_TABLES}) mine"  # noqa: S608

# Triggers that forbid deletions do not run for a replica. Sequences start again at 1.
_EMPTY = f"""
DO $$
DECLARE found record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR found IN SELECT oid::regclass AS name FROM ({_TABLES}) mine LOOP
        IF NOT found.name::text = ANY ('%s'::text[]) THEN
            EXECUTE format('DELETE FROM %%s', found.name);
        END IF;
    END LOOP;
    FOR found IN SELECT seqrelid, seqstart FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL LOOP
        PERFORM setval(found.seqrelid, found.seqstart, false);
    END LOOP;
END $$
"""  # noqa: S608


class _New:
    """Properties of an unused database. A used one must have the same."""

    def __init__(self, schema: str, size: int, filled: dict[str, str]) -> None:
        self.schema = schema
        self.size = size
        self.filled = filled  # digest of the rows per table that the migrations filled


_idle: dict[tuple[str, str], list[str]] = defaultdict(list)  # server and template → databases ready for the next test
_new: dict[tuple[str, str], _New] = {}


@asynccontextmanager
async def spare_database(base: str, service: str) -> AsyncIterator[str]:
    """Yield the URL of an empty database with the service's tables, for one test. `base`: the URL of the server."""
    template = await _template(base, service)
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        idle = _idle[base, template]
        name = idle.pop() if idle else await _create(admin, base, service, template)
        try:
            yield f"{base}/{name}"
        finally:
            if await _emptied(admin, base, name, _new[base, template]):
                idle.append(name)
            else:
                await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()


def _template_name(service: str) -> str:
    folder = migrations_folder(service) / "versions"
    content = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    for module in ("shell.store.platform_tables", "shell.audit.tables"):
        content += Path(str(importlib.import_module(module).__file__)).read_bytes()
    return f"template_{service}_{hashlib.sha256(content).hexdigest()[:10]}"


async def _template(base: str, service: str) -> str:
    """Return the name of a migrated database to copy. It is created and migrated if it does not exist."""
    name = _template_name(service)
    if (base, name) in _new:
        return name
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        await admin.execute("SELECT pg_advisory_lock(hashtext($1))", name)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", name):
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}"')
            await admin.execute(f'CREATE DATABASE "{name}"')
            migrate(service, f"{base}/{name}")
            await admin.execute(f'ALTER DATABASE "{name}" WITH is_template true')
    finally:
        await admin.close()
    return name


async def _create(admin: asyncpg.Connection, base: str, service: str, template: str) -> str:
    name = f"{service}_{uuid4().hex[:12]}"
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    if (base, template) not in _new:
        connection = await asyncpg.connect(f"{base}/{name}")
        try:
            _new[base, template] = await _examine(connection)
        finally:
            await connection.close()
    return name


async def _examine(connection: asyncpg.Connection) -> _New:
    """Return the properties of a database that no test has used."""
    tables = await connection.fetch(f"SELECT oid::regclass::text FROM ({_TABLES}) mine ORDER BY 1")  # noqa: S608
    digests = {table: await _digest(connection, table) for (table,) in tables}
    empty = hashlib.md5(b"", usedforsecurity=False).hexdigest()
    filled = {table: digest for table, digest in digests.items() if digest != empty}
    return _New(await connection.fetchval(_SCHEMA), await connection.fetchval(_BYTES), filled)


async def _digest(connection: asyncpg.Connection, table: str) -> str:
    rows = f"SELECT md5(coalesce(string_agg(row::text, '|' ORDER BY row::text), '')) FROM {table} row"  # noqa: S608
    found: str = await connection.fetchval(rows)
    return found


async def _emptied(admin: asyncpg.Connection, base: str, name: str, new: _New) -> bool:
    """Empty the database, and return whether it is like a new one. If not, it must not be used again."""
    if not await _left_alone(admin, name):
        return False
    try:
        connection = await asyncpg.connect(f"{base}/{name}")
    except asyncpg.PostgresError:  # dropped or closed by its test
        return False
    try:
        await connection.execute(_EMPTY % ("{" + ",".join(new.filled) + "}"))
        for table, digest in new.filled.items():
            if await _digest(connection, table) != digest:
                return False
        grown: int = await connection.fetchval(_BYTES) - new.size
        return grown <= GROWTH_BYTES_MAX and await connection.fetchval(_SCHEMA) == new.schema
    except asyncpg.PostgresError:
        return False
    finally:
        await connection.close()


async def _left_alone(admin: asyncpg.Connection, name: str) -> bool:
    """Whether no session is left on the database. Sessions of closed connections may need a moment to end."""
    deadline = asyncio.get_running_loop().time() + SESSIONS_END_SECONDS_MAX
    while await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


@atexit.register
def _drop_idle() -> None:
    """Drop the databases of this process at its end, because others may use the server later."""
    names = [(base, name) for (base, _), idle in _idle.items() for name in idle]
    if names:
        asyncio.run(_drop(names))


async def _drop(names: list[tuple[str, str]]) -> None:
    for base, name in names:
        try:
            admin = await asyncpg.connect(f"{base}/postgres", timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            continue
        try:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await admin.close()
