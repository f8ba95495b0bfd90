import os
import tempfile

os.environ["SHOUWANG_HOME"] = tempfile.mkdtemp(prefix="shouwang-identification-")

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from common import clock
from common.database import Database
from common.testing import Driver, migrated_database
from identification.main import service
from identification.seed_lists import seed

DAY_ONE = date(2026, 11, 20)


@pytest.fixture(autouse=True)
def business_day() -> Iterator[date]:
    """Every test begins at noon of one day."""
    clock.set_now(datetime(2026, 11, 20, 4, tzinfo=UTC))
    yield DAY_ONE
    clock.set_offset(timedelta())


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database with the lists of the repository in force and nothing left to send."""
    async with migrated_database("identification") as fresh:
        await seed(fresh)
        await fresh.pool.execute("DELETE FROM outbox")
        yield fresh


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)
