"""An upgrade keeps the audit rows of earlier versions and seals them; the tables are then those of every service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from shell import clock
from shell.audit.checking import Topic, check
from shell.audit.sealing import seal_audits
from shell.audit.tables import AUDIT_LOG
from shell.store.database import Database
from shell.store.migrate import migrate
from shell.testing import postgres_base_url

PERSON = "11111111-1111-8111-8111-111111111111"
OBJECTS = """
SELECT concat_ws(' ', c.relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
                 pg_get_expr(adbin, adrelid))
  FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
  LEFT JOIN pg_attrdef d ON adrelid = c.oid AND adnum = attnum
  WHERE relnamespace = $1::text::regnamespace AND relname ~ '^audit' AND relkind = 'r'
UNION ALL SELECT replace(indexdef, $1 || '.', '') FROM pg_indexes WHERE schemaname = $1 AND tablename ~ '^audit'
UNION ALL SELECT concat_ws(' ', relname, tgname) FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
  WHERE relnamespace = $1::text::regnamespace AND relname ~ '^audit'
ORDER BY 1
"""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    base, name = postgres_base_url(), f"upgrade_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield f"{base}/{name}"
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def test_rows_of_earlier_versions_are_kept_found_and_sealed(url: str) -> None:
    await asyncio.to_thread(migrate, "ingestion", url, "0018")
    old = await asyncpg.connect(url, server_settings={"search_path": "ingestion"})
    for number in range(3):
        await old.execute(
            """WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division)
                          VALUES (now() - interval '1 day', 'li', 'officer', 'lookup', 'lookup', $1, '', $2, '530302')
                          RETURNING at, audit_id),
                    p AS (INSERT INTO audit_persons SELECT $3, at, audit_id, 'li', '{530302}' FROM a)
               INSERT INTO audit_areas SELECT '530302', 'li', at, audit_id FROM a""",
            str(number),
            f'["{PERSON}"]'.encode(),
            PERSON,
        )
    await old.close()
    await asyncio.to_thread(migrate, "ingestion", url)
    database = Database(url, "ingestion")
    await database.open()
    try:
        await seal_audits(database)
        rows = await database.pool.fetch(
            "SELECT audit_id, seal, account, cause FROM audits JOIN audit_links USING (audit_id)"
        )
        assert [tuple(row) for row in rows] == [(1, 1, "", "0"), (2, 1, "", "1"), (3, 1, "", "2")]
        async with database.reading() as connection, connection.transaction(isolation="repeatable_read"):
            found = await check(connection, Topic(lambda seal: None), clock.real_now() - timedelta(minutes=1))
        assert (found.sealed, found.faults) == (3, [])
    finally:
        await database.close()


async def test_the_tables_after_all_migrations_are_those_of_every_service(database: Database) -> None:
    async with database.reading() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"CREATE SCHEMA plain; SET LOCAL search_path TO plain; {AUDIT_LOG}")
        plain = [row[0] for row in await connection.fetch(OBJECTS, "plain")]
        assert plain
        assert [row[0] for row in await connection.fetch(OBJECTS, "ingestion")] == plain
        await transaction.rollback()
