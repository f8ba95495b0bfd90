"""The job that gives overdue cases to the next area above, up to the nation.

It covers events in quarantine, cases of claimed places, and groups. The source of an event is asked to correct it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from common.codes import divisions
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.problems import QUARANTINE, pointer_of
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.storage import QUARANTINE_DAYS
from ingestion.register.seed import standing_rules
from ingestion.review.store import groups, place_cases, quarantine

log = logging.getLogger(__name__)
STEP_MAX: Final = 500
_ASKED_BY: Final = "escalate_quarantine"


async def escalate_overdue(database: Database) -> int:
    """Escalate at most STEP_MAX events, cases and groups each. Returns their number."""
    events = await _escalate_events(database)
    # The day from which silence vouches for a place stays the same.
    places = await _escalate(database, place_cases.list_overdue, place_cases.escalate, "cases of claimed places")
    # A group is escalated as a whole; its rows keep their owners.
    grouped = await _escalate(database, groups.list_overdue, groups.escalate, "groups")
    return events + places + grouped


async def _escalate_events(database: Database) -> int:
    """Escalate overdue events in quarantine, each once per deadline. Returns their number.

    With the first escalation of an event, its source is asked to correct it."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await quarantine.list_overdue(tx, now, STEP_MAX)
        if overdue:
            owners = {row.event_id: _above(row.owner) for row in overdue}
            await quarantine.escalate(tx, owners, now, now + timedelta(days=QUARANTINE_DAYS))
            first = [_asked(row) for row in overdue if row.escalated_at is None and row.part_of is None]
            await ask(tx, first, "quarantine_overdue", _ASKED_BY, now)
    if overdue:
        log.warning("%d events in quarantine are overdue and were escalated", len(overdue))
    return len(overdue)


def _asked(row: quarantine.Overdue) -> Asked:
    text = QUARANTINE[row.reason][1]
    return Asked(row.event_id, row.source, row.kind, "waiting", row.reason, pointer_of(row.reason), text)


async def _escalate(
    database: Database,
    list_overdue: Callable[[Tx, datetime, int], Awaitable[dict[str, str]]],
    escalate: Callable[[Tx, Mapping[str, str], datetime, datetime], Awaitable[None]],
    what: str,
) -> int:
    """Escalate overdue rows of one table, each once per deadline. Returns their number.

    `list_overdue` gives the owner by id, `escalate` stores the new owner by id. `what`: the rows, for the log."""
    now = clock.now()
    async with database.transaction() as tx:
        overdue = await list_overdue(tx, now, STEP_MAX)
        owners = {id_: _above(owner) for id_, owner in overdue.items()}
        if owners:
            await escalate(tx, owners, now, now + timedelta(days=standing_rules().case_days))
    if owners:
        log.warning("%d %s are overdue and were escalated", len(owners), what)
    return len(owners)


def _above(owner: str) -> str:
    return divisions.parent(owner) or divisions.NATION
