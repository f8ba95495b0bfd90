"""Check the stored data of supervision, once all topics have been read to their end."""

from datetime import date, timedelta
from typing import Final

from shell import clock
from shell.store.database import Database

from supervision.checks import checks
from supervision.store import audit

SIZE: Final[str] = "SELECT count(*) FROM steps"
_JOB_DELAY: Final = timedelta(minutes=1)


async def check(database: Database, today: date) -> list[str]:
    """Return one sentence per fault; an empty list if all is right."""
    late = clock.now() - _JOB_DELAY
    found: list[str] = []
    async with database.reading() as connection:
        for person_id in await audit.people_behind(connection):
            found.append(f"supervision: person {person_id} is not at the newest decision received")
        for visit in await audit.wrong_verdicts(connection, late - checks().entitlement_wait):
            found.append(f"supervision: visit {visit.task_id} is {visit.verdict} with findings [{visit.blocks}]")
        for alert in await audit.wrong_alerts(connection):
            found.append(f"supervision: alert {alert.alert_id} cannot be {alert.state}")
        for missing in await audit.missing_alerts(connection):
            found.append(f"supervision: {missing.check_id} of {missing.subject} has no alert")
        for matter in await audit.late_matters(connection, late):
            found.append(f"supervision: the alert {matter.check_id} of {matter.subject} was due at {matter.due_at}")
    return found
