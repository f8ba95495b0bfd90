from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from shell.audit.tables import AUDIT_LOG
from shell.store.database import Database
from shell.store.platform_tables import PLATFORM_TABLES
from shell.testing import postgres_base_url


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database that holds nothing but the platform's own tables and a table `seen` to write into."""
    base, name = postgres_base_url(), f"probe_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    setup = await asyncpg.connect(f"{base}/{name}")
    await setup.execute("CREATE SCHEMA probe; SET search_path TO probe")
    await setup.execute(PLATFORM_TABLES + AUDIT_LOG)
    await setup.execute("CREATE TABLE seen (task_id text, n serial)")
    await setup.close()
    database = Database(f"{base}/{name}", "probe")
    await database.open()
    yield database
    await database.close()
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()
