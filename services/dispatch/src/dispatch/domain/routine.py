"""Plan routine visits: one window (the days for one visit) follows another while an entitlement lasts.

The window of today and the next one exist as tasks. If the place or the frequency changes, the tasks that have not
begun are cancelled, and the windows start again.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final, Literal

import msgspec
from common.calendar import civil_date
from rules.scales.visits import Run, VisitRules, Window, first_window, next_window

from dispatch.domain.plan import (
    Plan,
    PlanDecision,
    cancel_unbegun,
    forget_cancelled,
    having,
    not_having,
    task_ids,
    updated,
    visit_task,
    with_care,
)
from dispatch.domain.task import OPEN, ROUTINE, Change, Task, cancelled, created, new_task_id, renewed

WINDOWS_PER_STEP_MAX: Final = 8
FirstReason = Literal["first", "discharge"]


def plan_routine(
    plan: Plan, tasks: Sequence[Task], alias_tasks: Sequence[Task], run: Run, today: date, rules: VisitRules
) -> PlanDecision:
    """Start, continue or restart the windows. `run`: the visiting care of today.

    A visit under another identity of the human, completed or in progress, takes the place of a routine visit in the
    window that it covers.
    """
    open_ = [task for task in tasks if task.state in OPEN]
    elsewhere = _covered(alias_tasks, run, today, rules)
    if plan.state != "active":
        return _start(plan, open_, run, today, rules, elsewhere)
    unchanged = run.first.care == (plan.division, plan.tier, plan.interval_days)
    if unchanged and not _any_overlap(_unbegun_routine(open_), elsewhere):
        return _continue(plan, open_, run, today, rules)
    return _restart(plan, open_, run, today, rules, [*_covered(tasks, run, today, rules), *elsewhere])


def _covered(tasks: Sequence[Task], run: Run, today: date, rules: VisitRules) -> list[Window]:
    """Return the windows covered by visits that were made or are in progress, without windows that have not begun."""
    days = run.first.interval_days or rules.interval_days_default
    visits = [t for t in tasks if t.state in ("completed", "in_progress") and t.window_from <= today]
    return [Window(visit.window_from, _covered_until(visit, days)) for visit in visits]


def _covered_until(visit: Task, days: int) -> date:
    """Return the end of the window that a visit covers: `days` (one interval) after it, at most the end of its own.

    A visit with a month's window must not replace the weekly visits of that month.
    """
    made_on = visit.window_from if visit.checked_in_at is None else civil_date(visit.checked_in_at)
    return min(visit.window_to, made_on + timedelta(days=days))


def _latest(windows: Sequence[Window]) -> Window | None:
    return max(windows, key=lambda window: window.to, default=None)


def _unbegun_routine(open_: Sequence[Task]) -> list[Task]:
    return [task for task in open_ if task.reason in ROUTINE and task.state != "in_progress"]


def _any_overlap(tasks: Sequence[Task], windows: Sequence[Window]) -> bool:
    return any(t.window_from < w.to and w.from_ < t.window_to for t in tasks for w in windows)


def _start(
    plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules, elsewhere: Sequence[Window]
) -> PlanDecision:
    """Activate the plan, open its first windows and cancel its former tasks. `elsewhere`: windows covered by visits
    under other identities."""
    last = _latest(elsewhere)
    reason: FirstReason | None = None if last else "first"
    if _is_discharged(plan, today):
        reason = "discharge"
    opened = _open_windows(_started(plan, run, today, last), run, today, rules, first=reason)
    resolved = cancel_unbegun(having(open_, "suspicion", "stay"), "resolved")
    superseded = cancel_unbegun(not_having(open_, "suspicion", "stay"), "superseded")
    return opened._replace(changes=(*resolved, *superseded, *opened.changes))


def _started(plan: Plan, run: Run, today: date, last: Window | None) -> Plan:
    """Return the plan as active. Its windows begin today, on the expected first day of the care, or after `last`."""
    expected = plan.state == "waiting" and plan.act_on == run.from_
    start = run.from_ if expected else today
    return updated(
        with_care(plan, run, today),
        state="active",
        cause=None,
        epoch=plan.epoch + 1,
        started_on=start,
        suspected_on=None,
        last_from=last.from_ if last else None,
        opened_until=max(start, last.to) if last else start,
    )


def _is_discharged(plan: Plan, today: date) -> bool:
    """Whether the plan is paused by a stay, and some known stay has ended. An annulled stay is not among the facts."""
    ended = any(stay.to is not None and stay.to <= today for stay in plan.facts.stays)
    return ended and plan.state == "paused" and plan.cause == "in_hospital"


def _continue(plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules) -> PlanDecision:
    """Continue the windows of unchanged care: cancel tasks after its end, and open the windows that are due."""
    beyond = _beyond(having(open_, *ROUTINE), run.to)
    if beyond:
        plan = updated(plan, epoch=plan.epoch + 1, last_from=None, opened_until=min(t.window_from for t in beyond))
    plan, replaced = _with_current_means(plan, [t for t in open_ if t not in beyond], today)
    opened = _open_windows(with_care(plan, run, today), run, today, rules)
    ended = (*cancel_unbegun(beyond, "not_entitled"), *replaced)
    ended_ids = task_ids(ended)
    corrected = _with_corrected_entitlement([t for t in open_ if t.task_id not in ended_ids], run)
    return opened._replace(changes=(*ended, *corrected, *opened.changes))


def _beyond(tasks: Sequence[Task], end: date | None) -> list[Task]:
    return [] if end is None else [task for task in tasks if task.window_from >= end]


def _with_current_means(plan: Plan, open_: Sequence[Task], today: date) -> tuple[Plan, list[Change]]:
    """Replace routine visits by calls when a hint begins, and calls by visits when the hint ends.

    The windows do not change. The provider receives a withdrawal and a new offer.
    """
    changes: list[Change] = []
    epoch = plan.epoch + 1
    for task in _unbegun_routine(open_):
        means = plan.facts.means_on(max(task.window_from, today))
        if task.window_to > today and task.by != means:
            task_id = new_task_id(task.person_id, task.item, task.reason, task.window_from, epoch)
            changes += [cancelled(task, "superseded"), created(renewed(task, task_id, means))]
    return (updated(plan, epoch=epoch) if changes else plan), changes


def _with_corrected_entitlement(open_: Sequence[Task], run: Run) -> Iterator[Change]:
    """Yield a change for each task whose entitlement has a new id, because the entitlement's begin was corrected."""
    for task in open_:
        entitlement_id = run.entitlement_on(task.window_from)
        if task.entitlement_id != entitlement_id:
            yield Change(msgspec.structs.replace(task, entitlement_id=entitlement_id))


def _restart(
    plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules, covered: Sequence[Window]
) -> PlanDecision:
    """Cancel visits and open the windows again, because the care changed or another identity was visited.

    The windows begin after the last window that a visit covers (`covered`).
    """
    ended = _cancel_for_restart(plan, open_, run)
    last = _latest(covered)
    restarted = updated(
        with_care(forget_cancelled(plan, ended), run, today),
        epoch=plan.epoch + 1,
        last_from=last.from_ if last else None,
        opened_until=max(today, last.to) if last else today,
    )
    first_cancelled = any(change.task.reason == "first" for change in ended)
    opened = _open_windows(restarted, run, today, rules, first="first" if first_cancelled else None)
    return opened._replace(changes=(*ended, *opened.changes))


def _cancel_for_restart(plan: Plan, open_: Sequence[Task], run: Run) -> tuple[Change, ...]:
    """After a move, cancel all visits that have not begun. At the same place, cancel only the routine visits."""
    if run.first.division != plan.division:
        return cancel_unbegun(open_, "moved")
    return cancel_unbegun(having(open_, *ROUTINE), "superseded")


def _open_windows(
    plan: Plan, run: Run, today: date, rules: VisitRules, *, first: FirstReason | None = None
) -> PlanDecision:
    """Create tasks for the windows up to the first one after today, within the entitlement.

    `first`: the reason of the first window. A step opens at most `WINDOWS_PER_STEP_MAX` windows; later windows follow
    in the next step.
    """
    changes: list[Change] = []
    last, start = plan.last_from, plan.opened_until or today
    act_on = None
    while (last is None or last <= today) and len(changes) < WINDOWS_PER_STEP_MAX:
        window = _window(plan, rules, start, last, first)
        if run.to is not None and window.from_ >= run.to:
            act_on = run.to
            break
        window = Window(window.from_, min(window.to, run.to or window.to))
        changes.append(created(_routine_task(plan, run, window, first, today)))
        last, start, first = window.from_, window.to, None
    if act_on is None and last is not None:
        act_on = max(today, last)
    return PlanDecision(updated(plan, last_from=last, opened_until=start, act_on=act_on), tuple(changes))


def _window(plan: Plan, rules: VisitRules, start: date, last: date | None, first: FirstReason | None) -> Window:
    if first == "discharge":
        return Window(start, start + timedelta(days=rules.discharge_visit_days))
    if first == "first":
        return first_window(start, rules)
    return next_window(start, plan.interval_days or rules.interval_days_default, last)


def _routine_task(plan: Plan, run: Run, window: Window, first: FirstReason | None, today: date) -> Task:
    """Return the task of a window. While a hint reports a stay, it may be a call, except after a discharge."""
    reason = first or "plan"
    by = plan.facts.means_on(max(window.from_, today)) if reason in ROUTINE else "visit"
    return visit_task(plan, run, reason, window, by=by)
