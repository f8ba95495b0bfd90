"""Open and withdraw alerts, and emit the events about them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from common.events import AlertClosed, AlertRaised, Event
from common.message import Message, derived_id
from shell.store.transaction import Tx

from supervision.checks import checks
from supervision.domain.alerts import Finding
from supervision.domain.received import ReceivedEvent
from supervision.store import alerts as store
from supervision.store.alerts import Times

Causes = Mapping[str, Message[Event]]  # per person the event that led to the change


def alert_id(check: str, subject: str) -> str:
    return derived_id("alert", check, subject)


def new_finding(
    check: str,
    subject: str,
    person_id: str | None = None,
    *,
    provider: str | None = None,
    division: str | None = None,
    correlation_id: str | None = None,
    other_division: str | None = None,
) -> Finding:
    """Return a finding with the usual severity of its check. The fields are those of `Finding`."""
    severity = checks().named(check).severity
    return Finding(check, severity, subject, person_id, provider, division, correlation_id, other_division)


def causes_of(received: Iterable[ReceivedEvent]) -> Causes:
    """Return the last event about each person, by person id."""
    return {event.data.person_id: event.message() for event in received}


async def raise_alerts(tx: Tx, findings: Sequence[Finding], now: datetime, causes: Causes) -> None:
    """Store an alert per finding, and emit an event for each alert that is new, changed or open again.

    A finding without a person becomes an alert, but no event is emitted.
    """
    if not findings:
        return
    by_id = {alert_id(finding.check, finding.subject): finding for finding in findings}
    for id_ in sorted(await store.upsert_alerts(tx, by_id, _times(now))):
        finding = by_id[id_]
        if finding.person_id is not None:
            cause = causes.get(finding.person_id) or finding.correlation_id
            tx.emit(_raised(id_, finding, finding.person_id), cause, division=finding.division)


def _times(now: datetime) -> Times:
    days = checks().deadline_days
    return Times(now, *(now + timedelta(days=d) for d in (days.explain, days.decide, days.close)))


def _raised(id_: str, finding: Finding, person_id: str) -> AlertRaised:
    return AlertRaised(
        person_id=person_id,
        alert_id=id_,
        check=finding.check,
        severity=finding.severity,
        subject=finding.subject,
        division=finding.division,
        other_division=finding.other_division,
    )


async def release_closed(tx: Tx, events: Sequence[tuple[str, str, str]]) -> None:
    """Let the next finding open alerts again that were closed before an event. `events`: (check, subject, ISO time)."""
    await store.release_closed(tx, [(alert_id(check, subject), at) for check, subject, at in events])


async def withdraw_alerts(
    tx: Tx,
    subjects: Sequence[tuple[str, str]],
    outcome: str,
    reason: str,
    now: datetime,
    causes: Causes,
) -> None:
    """Close alerts whose reason no longer exists, unless an officer has decided them, and emit events.

    `subjects`: (check, subject). `outcome`: confirmed or dismissed. `reason`: Chinese text.
    """
    if not subjects:
        return
    ids = [alert_id(check, subject) for check, subject in subjects]
    for alert in await store.withdraw_alerts(tx, ids, outcome, reason, now):
        if alert.person_id is not None:
            event = AlertClosed(
                person_id=alert.person_id,
                alert_id=alert.alert_id,
                outcome=outcome,
                other_division=alert.other_division,
            )
            tx.emit(event, causes.get(alert.person_id) or alert.correlation_id, division=alert.division)
