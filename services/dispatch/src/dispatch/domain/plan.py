"""One person's plan for one visiting item: what it holds, and what its visits are called. Pure.

A plan has an epoch: it changes when the care changes (start, tier, move, restart), and is part of the ids of its
tasks, so that the same window can be opened again after a cancellation but never twice within one epoch.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple

import msgspec
from common.events.visit import VisitMeans
from rules.scales.visits import Run, Window

from dispatch.domain.part import ExtraReason, Part, forgetting
from dispatch.domain.task import ROUTINE, CancelReason, Moved, Task, cancelled, new_task_id

PlanState = Literal["active", "paused", "waiting", "stopped"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`opened_until`: where the next window begins; `last_from`: where the last one began. `act_on`: the day on
    which the clock must look again. `suspected_on`: the suspicion that paused it; `last_from` is then the day on
    which its check was ordered, and `division` the place of the check."""

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
    part: Part = Part()
    correlation_id: str = ""


class Planned(NamedTuple):
    plan: Plan
    moves: tuple[Moved, ...]


def merged_away(plan: Plan) -> Plan:
    """The plan of an identity whose survivor has spoken, before its own news came."""
    return with_changes(plan, part=msgspec.structs.replace(plan.part, merged=True))


def visit_task(
    plan: Plan,
    run: Run,
    reason: Literal["first", "plan", "suspicion"] | ExtraReason,
    window: Window,
    *marks: str,
    by: VisitMeans = "visit",
) -> Task:
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


def with_care(plan: Plan, run: Run, today: date) -> Plan:
    division, tier, interval_days = run.first.care
    return with_changes(
        plan, division=division, tier=tier, interval_days=interval_days, entitlement_id=run.entitlement_on(today)
    )


def cancel_unbegun(open_: Sequence[Task], reason: CancelReason) -> tuple[Moved, ...]:
    """A visit under way is left to end."""
    return tuple(cancelled(t, reason) for t in open_ if t.state != "in_progress")


def forget_cancelled(plan: Plan, gone: Sequence[Moved]) -> Plan:
    """What a cancelled visit was for is open again."""
    reasons = {moved.task.reason for moved in gone} - ROUTINE
    return with_changes(plan, part=forgetting(plan.part, reasons)) if reasons else plan


def with_changes(plan: Plan, **changes: object) -> Plan:
    return msgspec.structs.replace(plan, **changes)
