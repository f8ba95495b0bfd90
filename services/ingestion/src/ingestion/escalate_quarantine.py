"""The job that hands what nobody settled in time to the next area above."""

import logging
from typing import Final

from common import clock
from common.codes import divisions
from common.database import Database

from ingestion.store import review

log = logging.getLogger(__name__)
STEP_MAX: Final = 500


async def escalate_overdue(database: Database) -> int:
    """One bounded step. Each event is escalated once."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await review.list_overdue(tx, now, STEP_MAX)
        if overdue:
            await review.escalate(tx, [(e, divisions.parent(owner) or owner) for e, owner in overdue], now)
    if overdue:
        log.warning("%d events in quarantine are overdue and were escalated", len(overdue))
    return len(overdue)
