"""The job that removes rejected rows of files after their time, and spooled files that no import refers to."""

import logging
from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database

from ingestion.files import store
from ingestion.files.spool import forget, spooled
from ingestion.settings import ImportSettings

log = logging.getLogger(__name__)
STEP_MAX: Final = 1_000
ORPHAN_SECONDS: Final = 24 * 3600


async def forget_imports(database: Database) -> int:
    """One bounded step. The import itself, with its counts, stays."""
    before = clock.now() - timedelta(days=ImportSettings().rejects_kept_days)
    async with database.transaction() as tx:
        deleted = await store.delete_old_rejects(tx, before, STEP_MAX)
    old = list(spooled(clock.real_now().timestamp() - ORPHAN_SECONDS))[:STEP_MAX]
    if old:
        async with database.reading() as connection:
            used = await store.used_spools(connection, old)
        for spool in set(old) - used:
            forget(spool)
            log.warning("a spooled file that nothing refers to was removed")
    return deleted
