"""The job that deletes old rejected rows of files, and spooled files without an import."""

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
    """Job: delete at most STEP_MAX old rejected rows and STEP_MAX files without an import; return the number of rows.

    The imports themselves stay."""
    before = clock.now() - timedelta(days=ImportSettings().rejects_kept_days)
    async with database.transaction() as tx:
        deleted = await store.delete_old_rejects(tx, before, STEP_MAX)
    await _forget_orphans(database)
    return deleted


async def _forget_orphans(database: Database) -> None:
    """Delete spooled files that no import needs and that are older than ORPHAN_SECONDS."""
    old = list(spooled(clock.real_now().timestamp() - ORPHAN_SECONDS))[:STEP_MAX]
    if not old:
        return
    async with database.reading() as connection:
        used = await store.used_spools(connection, old)
    for spool in set(old) - used:
        forget(spool)
        log.warning("a spooled file without an import was deleted")
