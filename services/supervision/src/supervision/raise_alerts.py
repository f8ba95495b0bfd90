"""Alerts that follow from events of other services: recoveries, changed accounts, groups of foreign events, parked
records, halted lists, and users who read too many persons."""

from collections.abc import Sequence

from shell import clock
from shell.store.transaction import Tx

from supervision import cases
from supervision.domain.alerts import Finding
from supervision.intake import Sighting


async def on_recoveries(sightings: Sequence[Sighting], tx: Tx) -> None:
    now = clock.now()
    causes = {s.data.person_id: s.message() for s in sightings}
    opened = [s for s in sightings if s.what == "RecoveryOpened"]
    await cases.raise_alerts(
        tx,
        [
            Finding(
                "recovery_opened",
                "warn",
                s.data.recovery_id,
                s.data.person_id,
                division=s.data.jurisdiction,
                correlation_id=s.correlation_id,
            )
            for s in opened
        ],
        now,
        causes,
    )
    closed = [("recovery_opened", s.data.recovery_id) for s in sightings if s.what == "RecoveryClosed"]
    await cases.withdraw_alerts(tx, closed, "confirmed", "追回已了结", now, causes)


async def on_accounts_changed(sightings: Sequence[Sighting], tx: Tx) -> None:
    """One alert per event that states another bank account than the one known before."""
    found = [
        Finding(
            "account_changed",
            "block",
            s.data.event_id,
            s.data.person_id,
            division=s.division,
            correlation_id=s.correlation_id,
        )
        for s in sightings
    ]
    await cases.raise_alerts(tx, found, clock.now(), {s.data.person_id: s.message() for s in sightings})


async def on_foreign_events_grouped(sightings: Sequence[Sighting], tx: Tx) -> None:
    """One alert per group, for the area that answers for it."""
    found = [
        Finding("foreign_events", "block", s.data.group_id, division=s.data.owner, correlation_id=s.correlation_id)
        for s in sightings
    ]
    await cases.raise_alerts(tx, found, clock.now(), {})


async def on_records_parked(sightings: Sequence[Sighting], tx: Tx) -> None:
    found = [Finding("record_parked", "warn", s.data.parked_id, correlation_id=s.correlation_id) for s in sightings]
    await cases.raise_alerts(tx, found, clock.now(), {})


async def on_budgets_used(sightings: Sequence[Sighting], tx: Tx) -> None:
    """A case of the user's area. It does not say who the user is: the audit rows do, under the same id."""
    found = [
        Finding("read_budget", "warn", s.data.case_id, division=s.data.division, correlation_id=s.correlation_id)
        for s in sightings
    ]
    await cases.raise_alerts(tx, found, clock.now(), {})


async def on_policies_halted(sightings: Sequence[Sighting], tx: Tx) -> None:
    """A list may be halted more than once, so the case is about the halt."""
    found = [
        Finding("policy_halted", "block", s.event_id, division=s.data.jurisdiction, correlation_id=s.correlation_id)
        for s in sightings
    ]
    await cases.raise_alerts(tx, found, clock.now(), {})
