"""Opening and withdrawing alerts, with the news of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from common.events import AlertClosed, AlertRaised, Event
from common.message import Message, derived_id
from shell.store.transaction import Tx

from supervision.checks import checks
from supervision.domain.alerts import Finding
from supervision.store import alerts as store


def alert_id(check: str, subject: str) -> str:
    return derived_id("alert", check, subject)


async def raise_alerts(
    tx: Tx, findings: Sequence[Finding], now: datetime, causes: Mapping[str, Message[Event]]
) -> None:
    """`causes`: per person the message that led to the finding. What has no person is a case, but no news."""
    if not findings:
        return
    days = checks().deadline_days
    times = [now, *(now + timedelta(days=d) for d in (days.explain, days.decide, days.close))]
    by_id = {alert_id(f.check, f.subject): f for f in findings}
    rows = [
        (id, f.check, f.severity, f.subject, f.person_id, f.provider, f.division, f.correlation_id, f.other_division)
        for id, f in by_id.items()
    ]
    for id in sorted(await store.upsert_alerts(tx, rows, times)):
        found = by_id[id]
        if found.person_id is None:
            continue
        event = AlertRaised(
            person_id=found.person_id,
            alert_id=id,
            check=found.check,
            severity=found.severity,
            subject=found.subject,
            division=found.division,
            other_division=found.other_division,
        )
        tx.emit(event, causes.get(found.person_id) or found.correlation_id, division=found.division)


async def withdraw_alerts(
    tx: Tx,
    subjects: Sequence[tuple[str, str]],
    outcome: str,
    reason: str,
    now: datetime,
    causes: Mapping[str, Message[Event]],
) -> None:
    """The reason for these alerts, given as (check, subject), is gone: close what no officer has decided."""
    if not subjects:
        return
    ids = [alert_id(check, subject) for check, subject in subjects]
    for row in await store.withdraw_alerts(tx, ids, outcome, reason, now):
        if row["person_id"] is not None:
            event = AlertClosed(
                person_id=row["person_id"],
                alert_id=row["alert_id"],
                outcome=outcome,
                other_division=row["other_division"],
            )
            tx.emit(event, causes.get(row["person_id"]) or row["correlation_id"], division=row["division"])
