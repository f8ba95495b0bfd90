"""The visit plan of one person for one item, and the ids of its tasks.

A plan has an epoch, a counter that is part of the task ids. It grows when visits are planned anew (start, pause, tier,
move). So the same window can be opened again after a cancellation, but never twice within one epoch.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

import msgspec
from common.events.visit import VisitMeans
from rules.scales.visits import Run, Window

from dispatch.domain.facts import VisitFacts, without_handled
from dispatch.domain.task import ROUTINE, CancelReason, Change, Task, cancelled, new_task_id

PlanState = Literal["active", "paused", "waiting", "stopped"]
ExtraReason = Literal["incident", "discharge", "reverify", "stay"]
PlannedReason = Literal["first", "plan"] | ExtraReason


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A visit plan. `last_from`: begin of the last opened window. `opened_until`: begin of the next one.

    `act_on`: the day of the next planned step, None for none. `cause`: why the plan is not active. `suspected_on`: the
    day of the suspected death that paused the plan. Then `last_from` is the day on which the check was ordered, and
    `division` is the place of the check.
    """

    person_id: str
    item: str
    state: PlanState = "stopped"
    cause: str | None = None
    epoch: int = 0
    division: str | None = None
    tier: str | None = None
    interval_days: int | None = None
    entitlement_id: str | None = None
    started_on: date | None = None
    last_from: date | None = None
    opened_until: date | None = None
    suspected_on: date | None = None
    act_on: date | None = None
    facts: VisitFacts = VisitFacts()
    correlation_id: str = ""


class PlanDecision(NamedTuple):
    """The plan after a step, and the changes of its tasks."""

    plan: Plan
    changes: tuple[Change, ...]


def run_on(timeline: Sequence[Run], day: date) -> Run | None:
    """Return the run (a period of unchanged visiting care) that covers a day; None without visiting care."""
    return next((run for run in timeline if run.covers(day)), None)


def updated(plan: Plan, **changes: object) -> Plan:
    return msgspec.structs.replace(plan, **changes)


def with_survivor(plan: Plan, survivor: str | None) -> Plan:
    """Return the plan of an identity that `survivor` names as an alias; None: it is no alias any more.

    The identity's own decision, with `VisitFacts.merged`, may arrive earlier or later.
    """
    return updated(plan, facts=msgspec.structs.replace(plan.facts, survivor=survivor))


def with_care(plan: Plan, run: Run, today: date) -> Plan:
    """Return the plan with the place, frequency and entitlement of the visiting care `run`."""
    division, tier, interval_days = run.first.care
    return updated(
        plan, division=division, tier=tier, interval_days=interval_days, entitlement_id=run.entitlement_on(today)
    )


def visit_task(
    plan: Plan, run: Run, reason: PlannedReason, window: Window, *marks: str, by: VisitMeans = "visit"
) -> Task:
    """A new task of the plan. Its id follows from the reason, the window, the epoch and the marks."""
    return Task(
        task_id=new_task_id(plan.person_id, plan.item, reason, window.from_, plan.epoch, *marks),
        person_id=plan.person_id,
        item=plan.item,
        reason=reason,
        division=run.first.division,
        window_from=window.from_,
        window_to=window.to,
        entitlement_id=run.entitlement_on(window.from_),
        correlation_id=plan.correlation_id,
        tier=run.first.tier,
        by=by,
    )


def extra_window(run: Run, today: date, days: int) -> Window:
    """The next `days` days, at most up to the end of the entitlement."""
    to = today + timedelta(days=days)
    return Window(today, min(to, run.to or to))


def cancel_unbegun(open_: Sequence[Task], reason: CancelReason) -> tuple[Change, ...]:
    """Cancel the tasks. A visit in progress continues."""
    return tuple(cancelled(task, reason) for task in open_ if task.state != "in_progress")


def forget_cancelled(plan: Plan, changes: Sequence[Change]) -> Plan:
    """Return the plan without the marks of all visits with the reasons of its cancelled visits (`changes`)."""
    reasons = {change.task.reason for change in changes} - ROUTINE
    return updated(plan, facts=without_handled(plan.facts, reasons)) if reasons else plan


def task_ids(changes: Sequence[Change]) -> set[str]:
    return {change.task.task_id for change in changes}


def having(tasks: Sequence[Task], *reasons: str) -> list[Task]:
    return [task for task in tasks if task.reason in reasons]


def not_having(tasks: Sequence[Task], *reasons: str) -> list[Task]:
    return [task for task in tasks if task.reason not in reasons]
