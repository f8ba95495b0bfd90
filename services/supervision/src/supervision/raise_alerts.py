"""Raise alerts that follow from events of other services, or from an open matter that lasts too long."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from supervision import cases
from supervision.cases import Causes
from supervision.domain.alerts import Finding
from supervision.domain.received import ReceivedEvent
from supervision.store import matters
from supervision.store.matters import DueMatter

OVERDUE_MAX: Final = 500
RECOVERY: Final = "recovery_opened"


async def on_recoveries(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Raise an alert for each opened recovery, and withdraw it when the recovery is closed. If a recovery is closed and
    opened again in one batch, with another amount, its alert is withdrawn and raised again. A recovery that opens after
    an officer closed its alert raises the alert again, too."""
    now, causes = clock.now(), cases.causes_of(received)
    last = {event.data.recovery_id: event.event_type for event in received}
    closed = {event.data.recovery_id for event in received if event.event_type == "RecoveryClosed"}
    opened = [event for event in received if event.event_type == "RecoveryOpened"]
    await _withdraw(tx, [id_ for id_ in closed if last[id_] == "RecoveryOpened"], now, causes)
    await cases.release_closed(tx, [(RECOVERY, event.data.recovery_id, event.at) for event in opened])
    await cases.raise_alerts(tx, [_recovery(event) for event in opened], now, causes)
    await _withdraw(tx, [id_ for id_ in closed if last[id_] == "RecoveryClosed"], now, causes)


async def _withdraw(tx: Tx, recovery_ids: Iterable[str], now: datetime, causes: Causes) -> None:
    closed = [(RECOVERY, id_) for id_ in sorted(recovery_ids)]
    await cases.withdraw_alerts(tx, closed, "confirmed", "追回已了结", now, causes)


def _recovery(event: ReceivedEvent) -> Finding:
    data = event.data
    return cases.new_finding(
        RECOVERY,
        data.recovery_id,
        data.person_id,
        division=data.jurisdiction,
        correlation_id=event.correlation_id,
    )


async def on_accounts_changed(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Raise one alert per event that states another bank account than the known one."""
    found = [_changed_account(event) for event in received]
    await cases.raise_alerts(tx, found, clock.now(), cases.causes_of(received))


def _changed_account(event: ReceivedEvent) -> Finding:
    return cases.new_finding(
        "account_changed",
        event.data.event_id,
        event.data.person_id,
        division=event.division,
        correlation_id=event.correlation_id,
    )


async def on_foreign_events_grouped(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Raise one alert per group of foreign events, for the area that is responsible for the group."""
    found = [
        cases.new_finding("foreign_events", e.data.group_id, division=e.data.owner, correlation_id=e.correlation_id)
        for e in received
    ]
    await _raise(tx, found)


async def on_records_parked(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    found = [cases.new_finding("record_parked", e.data.parked_id, correlation_id=e.correlation_id) for e in received]
    await _raise(tx, found)


async def on_budgets_used(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Raise an alert for the area of each user over the read budget. It does not name the user; the audit rows with
    the same id do."""
    found = [
        cases.new_finding("read_budget", e.data.case_id, division=e.data.division, correlation_id=e.correlation_id)
        for e in received
    ]
    await _raise(tx, found)


async def on_policies_halted(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Raise an alert for each halt of a list. A list may be halted more than once, so each halt is a case."""
    found = [
        cases.new_finding("policy_halted", e.event_id, division=e.data.jurisdiction, correlation_id=e.correlation_id)
        for e in received
    ]
    await _raise(tx, found)


async def _raise(tx: Tx, findings: Sequence[Finding]) -> None:
    """Raise alerts that are about no person."""
    await cases.raise_alerts(tx, findings, clock.now(), {})


async def raise_overdue(database: Database) -> int:
    """Job: raise alerts for open matters that last too long, at most OVERDUE_MAX. Returns their number."""
    now = clock.now()
    async with database.transaction() as tx:
        due = await matters.take_due_matters(tx, now, OVERDUE_MAX)
        await cases.raise_alerts(tx, [_overdue(matter) for matter in due], now, {})
    return len(due)


def _overdue(matter: DueMatter) -> Finding:
    return cases.new_finding(
        matter.check_id,
        matter.subject,
        matter.person_id,
        division=matter.division,
        correlation_id=matter.correlation_id,
    )
