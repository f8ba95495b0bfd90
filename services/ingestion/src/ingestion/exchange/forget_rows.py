"""The job that deletes old rejected rows of front-end tables."""

from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database

from ingestion.exchange.store import feed_rows as store
from ingestion.settings import ImportSettings

STEP_MAX: Final = 1_000


async def forget_rows(database: Database) -> int:
    """Job: delete at most STEP_MAX old rejected rows; return their number. The retention time is that of files."""
    before = clock.now() - timedelta(days=ImportSettings().rejects_kept_days)
    async with database.transaction() as tx:
        return await store.delete_old_rejects(tx, before, STEP_MAX)
