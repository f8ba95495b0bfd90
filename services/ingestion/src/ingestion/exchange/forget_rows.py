"""The job that removes rejected rows of front-end tables after their time."""

from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database

from ingestion.exchange.store import feed_rows as store
from ingestion.settings import ImportSettings

STEP_MAX: Final = 1_000


async def forget_rows(database: Database) -> int:
    """One bounded step; the number of removed rows."""
    before = clock.now() - timedelta(days=ImportSettings().rejects_kept_days)
    async with database.transaction() as tx:
        return await store.delete_old_rejects(tx, before, STEP_MAX)
