"""Store the state of every visit task, judge a visit after its check-out, and raise alerts about tasks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from supervision import cases
from supervision.domain.alerts import Finding
from supervision.domain.events import TASK_STATES
from supervision.domain.received import ReceivedEvent
from supervision.store import visits as store
from supervision.store.visits import TaskLine, UnplacedChange
from supervision.verdicts import judge

WAITING_MAX: Final = 500
UNPLACED: Final = "visit_unplaced"
_CONTRADICTION: Final = ("stay", "seen")  # reason and outcome: the person was at home during an open hospital stay


async def on_visit_steps(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Store the newest step of each task, judge checked-out visits, and raise or withdraw alerts."""
    now = clock.now()
    newest = _newest_steps(received)
    checked_out = [event for event in received if event.event_type == "VisitCheckedOut"]
    if checked_out:
        await store.lock_judging(tx)
    unplaced = await store.upsert_tasks(tx, [_task_line(event) for event in newest.values()])
    if unplaced:
        await _update_unplaced(tx, unplaced, newest, now)
    causes = cases.causes_of(checked_out)
    if checked_out:
        await judge(tx, {event.data.task_id for event in checked_out}, now, causes)
    missed = [event for event in received if event.event_type == "VisitMissed"]
    await cases.raise_alerts(tx, [_missed(event) for event in missed], now, cases.causes_of(missed))
    await cases.raise_alerts(tx, _contradictions(checked_out), now, causes)


def _newest_steps(received: Sequence[ReceivedEvent]) -> dict[str, ReceivedEvent]:
    """Return the last step of each task, by task id."""
    last: dict[str, ReceivedEvent] = {}
    for event in received:
        before = last.get(event.data.task_id)
        if before is None or _order(event) >= _order(before):
            last[event.data.task_id] = event
    return last


def _order(event: ReceivedEvent) -> tuple[bool, str]:
    """Return the order of a step within its task. The check-out is always the last step."""
    return (event.event_type == "VisitCheckedOut", event.at)


def _task_line(event: ReceivedEvent) -> TaskLine:
    visit = event.data
    checked_out_at = visit.checked_out_at if event.event_type == "VisitCheckedOut" else None
    return TaskLine(
        visit.task_id,
        visit.person_id,
        visit.item,
        visit.division,
        visit.provider,
        visit.window_from,
        visit.window_to,
        TASK_STATES[event.event_type],
        event.at,
        visit.checked_in_at,
        checked_out_at,
        visit.worker,
        visit.outcome,
        event.correlation_id,
        visit.reason if checked_out_at else None,
    )


async def _update_unplaced(
    tx: Tx, changes: Sequence[UnplacedChange], newest: Mapping[str, ReceivedEvent], now: datetime
) -> None:
    """Raise an alert for an urgent task without a provider, also if an officer closed an earlier one of the task.
    Withdraw it when a provider is asked or the task ends."""
    causes = cases.causes_of(newest[change.task_id] for change in changes)
    unplaced = [newest[change.task_id] for change in changes if change.unplaced]
    over = [(UNPLACED, change.task_id) for change in changes if not change.unplaced]
    await cases.release_closed(tx, [(UNPLACED, event.data.task_id, event.at) for event in unplaced])
    await cases.raise_alerts(tx, [_finding(UNPLACED, event) for event in unplaced], now, causes)
    await cases.withdraw_alerts(tx, over, "confirmed", "已派给机构或任务已了结", now, causes)


def _contradictions(checked_out: Sequence[ReceivedEvent]) -> list[Finding]:
    """Visits that found the person at home during a hospital stay. They are cases for the officer only."""
    found: list[Finding] = []
    for event in checked_out:
        if (event.data.reason, event.data.outcome) == _CONTRADICTION:
            found.append(_finding("stay_contradicted", event))
    return found


def _missed(event: ReceivedEvent) -> Finding:
    return _finding("visit_missed", event, event.data.provider)


def _finding(check: str, event: ReceivedEvent, provider: str | None = None) -> Finding:
    visit = event.data
    return cases.new_finding(
        check,
        visit.task_id,
        visit.person_id,
        provider=provider,
        division=visit.division,
        correlation_id=event.correlation_id,
    )


async def judge_waiting(database: Database) -> int:
    """Job: judge visits that wait for their entitlement, at most WAITING_MAX, and the visits that overlap them. After
    the waiting time a missing entitlement is a finding. Returns the number of visits with a changed judgement."""
    now: datetime = clock.now()
    async with database.transaction() as tx:
        return await judge(tx, await store.list_waiting(tx, WAITING_MAX), now, {})
