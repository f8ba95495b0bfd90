"""Decide the next step of a visit plan from the newest facts of the person. This is the only entry to planning."""

from collections.abc import Sequence
from datetime import date

from rules.scales.visits import Run, VisitRules, runs

from dispatch.domain.extras import with_extras, with_reverification
from dispatch.domain.pauses import pause_for_stay, pause_for_suspicion
from dispatch.domain.plan import (
    Plan,
    PlanDecision,
    cancel_unbegun,
    forget_cancelled,
    having,
    not_having,
    run_on,
    updated,
)
from dispatch.domain.routine import plan_routine
from dispatch.domain.task import OPEN, CancelReason, Task, cancelled


def decide_plan(
    plan: Plan, tasks: Sequence[Task], today: date, rules: VisitRules, alias_tasks: Sequence[Task] = ()
) -> PlanDecision:
    """Return the plan after the step of `today`, and the changes of its tasks. `plan.facts` must be the newest facts.

    `tasks`: the person's tasks of this item that are open, or completed with a window that ends after today.
    `alias_tasks`: such tasks of the human's other identities.
    """
    facts = plan.facts
    open_ = [task for task in tasks if task.state in OPEN]
    if facts.died_on is not None:
        return _stop(plan, open_, "died")
    if facts.is_merged:
        return _stop(plan, [task for task in open_ if task.state != "in_progress"], "superseded")
    timeline = runs(facts.stretches)
    run = run_on(timeline, today)
    if facts.suspected_on is not None:
        return pause_for_suspicion(plan, tasks, alias_tasks, run, today)
    if run is None:
        return _end_care(plan, open_, timeline, today)
    if facts.in_hospital(today):
        return pause_for_stay(plan, open_, run, today, rules)
    routine = plan_routine(plan, tasks, alias_tasks, run, today, rules)
    extended = with_extras(routine, run, today, rules)
    return with_reverification(extended, [*tasks, *alias_tasks], run, today, rules)


def _stop(plan: Plan, open_: Sequence[Task], reason: CancelReason) -> PlanDecision:
    """Cancel the tasks `open_` and stop the plan. A corrected fact starts the plan again."""
    ended = tuple(cancelled(task, reason) for task in open_)
    stopped = updated(plan, state="stopped", cause=reason, act_on=None, suspected_on=None)
    return PlanDecision(forget_cancelled(stopped, ended), ended)


def _end_care(plan: Plan, open_: Sequence[Task], timeline: Sequence[Run], today: date) -> PlanDecision:
    """Cancel the visits that no entitlement of today permits. The plan waits for the next entitlement, or stops."""
    next_from = next((run.from_ for run in timeline if run.from_ > today), None)
    state = "waiting" if next_from else "stopped"
    ended_plan = updated(plan, state=state, cause="not_entitled", act_on=next_from, suspected_on=None)
    ended = (
        *cancel_unbegun(having(open_, "suspicion"), "resolved"),
        *cancel_unbegun(not_having(open_, "suspicion"), "not_entitled"),
    )
    return PlanDecision(forget_cancelled(ended_plan, ended), ended)
