"""A hold or an open hospital stay that lasts too long becomes an alert, by the clock alone."""

from typing import Final

from shell import clock
from shell.store.database import Database

from supervision import cases
from supervision.checks import checks
from supervision.domain.alerts import Finding
from supervision.store import matters as store

STEP_MAX: Final = 500


async def raise_overdue(database: Database) -> int:
    """Job: one bounded step. Returns the number of matters that became alerts."""
    now = clock.now()
    async with database.transaction() as tx:
        due = await store.take_due_matters(tx, now, STEP_MAX)
        found = [
            Finding(
                row["check_id"],
                checks().named(row["check_id"]).severity,
                row["subject"],
                row["person_id"],
                division=row["division"],
                correlation_id=row["correlation_id"],
            )
            for row in due
        ]
        await cases.raise_alerts(tx, found, now, {})
    return len(due)
