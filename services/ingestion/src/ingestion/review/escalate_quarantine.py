"""The job that hands over what nobody has settled in time to the next area above, up to the nation.

It covers events in quarantine, cases of claimed places, and groups. The source of an event is asked to correct it.
"""

import logging
from datetime import timedelta
from typing import Final

from common.codes import divisions
from shell import clock
from shell.store.database import Database

from ingestion.domain.problems import QUARANTINE
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.storage import QUARANTINE_DAYS
from ingestion.register.seed import standing_rules
from ingestion.review.store import groups, place_cases, quarantine

log = logging.getLogger(__name__)
STEP_MAX: Final = 500
_ASKED_BY: Final = "escalate_quarantine"


async def escalate_overdue(database: Database) -> int:
    """One bounded step of each kind; returns how many rows have a new owner."""
    return await _escalate_events(database) + await _escalate_places(database) + await _escalate_groups(database)


async def _escalate_events(database: Database) -> int:
    """Each event is escalated once per deadline; its source is asked with the first."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await quarantine.list_overdue(tx, now, STEP_MAX)
        if overdue:
            await quarantine.escalate(
                tx,
                [(r["event_id"], _above(r["owner"])) for r in overdue],
                now,
                now + timedelta(days=QUARANTINE_DAYS),
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
                if row["escalated_at"] is None and row["part_of"] is None
            ]
            await ask(tx, asked, "quarantine_overdue", _ASKED_BY, now)
    if overdue:
        log.warning("%d events in quarantine are overdue and were escalated", len(overdue))
    return len(overdue)


async def _escalate_places(database: Database) -> int:
    """Each case is escalated once per deadline. The day from which silence vouches stays as it is."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await place_cases.list_overdue(tx, now, STEP_MAX)
        owners = {row["case_id"]: _above(row["owner"]) for row in overdue}
        if owners:
            await place_cases.escalate(tx, owners, now, now + timedelta(days=standing_rules().case_days))
    if owners:
        log.warning("%d cases of claimed places are overdue and were escalated", len(owners))
    return len(owners)


async def _escalate_groups(database: Database) -> int:
    """A group is escalated as a whole; its rows keep their owners."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await groups.list_overdue(tx, now, STEP_MAX)
        owners = {row["group_id"]: _above(row["owner"]) for row in overdue}
        if owners:
            await groups.escalate(tx, owners, now, now + timedelta(days=standing_rules().case_days))
    if owners:
        log.warning("%d groups are overdue and were escalated", len(owners))
    return len(owners)


def _above(owner: str) -> str:
    return divisions.parent(owner) or divisions.NATION
