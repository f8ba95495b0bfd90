"""A suspected death: one check at the person's place on the same day, with or without a visiting entitlement. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta

from common.message import derived_id
from rules.scales.visits import Run, Window

from dispatch.domain.plan import Plan, Planned, cancel_unbegun, forget_cancelled, with_care, with_changes
from dispatch.domain.task import OPEN, Task, created, new_task_id


def with_check(plan: Plan, tasks: Sequence[Task], beside: Sequence[Task], run: Run | None, today: date) -> Planned:
    """The plan pauses, and one check takes the place of all other visits: once for each suspicion and place.

    The window is the civil day, also late in the evening; a check that nobody made is tried again on the next day.
    `run`: the visiting care of today, None without an entitlement. `tasks`: the person's open ones, and completed ones
    whose window reaches beyond today; `beside`: the same under other identities of the human.
    """
    part = plan.part
    place = part.place or plan.division or (run.first.division if run else "")
    known = plan.cause == "suspicion" and plan.suspected_on == part.suspected_on
    if plan.state == "paused" and known and plan.division == place:
        return Planned(with_changes(plan, act_on=None), ())
    cared = with_care(plan, run, today) if run else with_changes(plan, tier=None, interval_days=None)
    paused = with_changes(
        cared,
        state="paused",
        cause="suspicion",
        division=place,
        entitlement_id=run.entitlement_on(today) if run else None,
        epoch=plan.epoch + 1,
        suspected_on=part.suspected_on,
        last_from=today,
        act_on=None,
    )
    standing = [t for t in tasks if _stands(t, place, today)]
    others = [t for t in tasks if t.state in OPEN and t not in standing]
    gone = cancel_unbegun(others, "moved" if known else "suspicion")
    checked = any(_is_made(t) for t in (*tasks, *beside))
    moves = gone if standing or checked else (*gone, created(_check(paused, run, today)))
    return Planned(forget_cancelled(paused, gone), moves)


def _stands(task: Task, place: str, today: date) -> bool:
    return task.reason == "suspicion" and task.state in OPEN and task.division == place and task.window_to > today


def _is_made(task: Task) -> bool:
    """A visitor who found nobody has not settled anything."""
    if task.reason != "suspicion":
        return False
    return task.state == "in_progress" or (task.state == "completed" and task.outcome != "not_found")


def _check(plan: Plan, run: Run | None, today: date) -> Task:
    window = Window(today, today + timedelta(days=1))
    behind = plan.entitlement_id or derived_id("suspicion", plan.person_id, plan.suspected_on)
    return Task(
        task_id=new_task_id(plan.person_id, plan.item, "suspicion", window.from_, plan.epoch),
        person_id=plan.person_id,
        item=plan.item,
        reason="suspicion",
        division=plan.division or "",
        window_from=window.from_,
        window_to=window.to,
        entitlement_id=behind,
        correlation_id=plan.correlation_id,
        tier=run.first.tier if run else None,
    )
