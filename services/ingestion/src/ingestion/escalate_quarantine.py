"""The job that hands what nobody settled in time to the next area above, and asks its source to put it right."""

import logging
from typing import Final

from common import clock
from common.codes import divisions
from common.database import Database

from ingestion.asking import Asked, ask
from ingestion.problems import QUARANTINE
from ingestion.store import review

log = logging.getLogger(__name__)
STEP_MAX: Final = 500
_ASKED_BY: Final = "escalate_quarantine"


async def escalate_overdue(database: Database) -> int:
    """One bounded step. Each event is escalated once."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await review.list_overdue(tx, now, STEP_MAX)
        if overdue:
            await review.escalate(
                tx, [(r["event_id"], divisions.parent(r["owner"]) or r["owner"]) for r in overdue], now
            )
            asked = [
                Asked(
                    row["event_id"],
                    row["source"],
                    row["kind"],
                    "waiting",
                    row["reason"],
                    "/data/previous_event_id",
                    QUARANTINE[row["reason"]][1],
                )
                for row in overdue
            ]
            await ask(tx, asked, "quarantine_overdue", _ASKED_BY, now)
    if overdue:
        log.warning("%d events in quarantine are overdue and were escalated", len(overdue))
    return len(overdue)
