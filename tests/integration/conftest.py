"""Starts the whole platform on this machine for all journeys: real Kafka, real PostgreSQL, every service."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from common.calendar import SHANGHAI
from shell.audit.tables import AUDIT_LOG
from shell.settings import Settings
from shell.store.database import Database
from shell.store.platform_tables import PLATFORM_TABLES
from shouwang.runtime import clock
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.stories.people import QILIN, XUANWEI
from shouwang.stories.platform import Platform
from shouwang.stories.providers import register_provider

# Journeys move the clock forward from here, over several months. No midnight passes by itself during a test.
NOON = datetime(2026, 11, 29, 12, tzinfo=SHANGHAI)


@contextmanager
def fresh_home(prefix: str) -> Iterator[Path]:
    """An empty folder that is the home of this process, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    before = os.environ.get("SHOUWANG_HOME")
    os.environ["SHOUWANG_HOME"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["SHOUWANG_HOME"]
        else:
            os.environ["SHOUWANG_HOME"] = before
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    with fresh_home("shouwang-stores-") as folder:
        yield folder


@pytest.fixture(scope="session")
def stores(home: Path) -> Iterator[Runtime]:
    """Kafka with the platform's topics and PostgreSQL with the services' databases, but no service."""
    runtime = Runtime(home, ports="free")
    try:
        runtime.start_stores()
        runtime.create_topics()
        yield runtime
    finally:
        runtime.stop_all()


@pytest.fixture
def settings(stores: Runtime) -> Settings:
    """The settings of a process that uses the stores of this session, with the super user of Kafka."""
    return stores.kafka_settings(PROVISION)


@pytest.fixture
async def database(stores: Runtime) -> AsyncIterator[Database]:
    """A separate database with only the platform's tables, in the schema `probe`."""
    base = stores.database_url("ingestion").rpartition("/")[0]
    name = f"probe_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    setup = await asyncpg.connect(f"{base}/{name}")
    await setup.execute("CREATE SCHEMA probe; SET search_path TO probe")
    await setup.execute(PLATFORM_TABLES + AUDIT_LOG)
    await setup.close()
    database = Database(f"{base}/{name}", "probe")
    await database.open()
    yield database
    await database.close()
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Runtime]:
    """All processes on a separate home, in demonstration mode: example amounts are paid."""
    with fresh_home("shouwang-journeys-") as folder:
        runtime = Runtime(folder, ports="free")
        runtime.mark_demo()
        clock.begin_at(folder, NOON)
        try:
            runtime.start_all()
            yield runtime
        finally:
            runtime.stop_all()


@pytest.fixture(scope="session")
async def platform(running: Runtime) -> AsyncIterator[Platform]:
    """The platform through its public interfaces, with a visiting provider in two counties."""
    urls = {process.name: running.service_url(process.name) for process in running.processes}
    async with Platform(running, urls) as platform:
        for county in (QILIN, XUANWEI):
            await register_provider(platform, county)
        yield platform
