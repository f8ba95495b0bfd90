"""From a person's visiting entitlements to a plan: which windows stand open now and when to look again. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final, Literal

import msgspec
from rules.scales.visits import Run, VisitRules, Window, first_window, next_window, runs

from dispatch.domain.beside import with_extras, with_reverification
from dispatch.domain.hospital import in_hospital
from dispatch.domain.plan import (
    Plan,
    Planned,
    cancel_unbegun,
    forget_cancelled,
    visit_task,
    with_care,
    with_changes,
)
from dispatch.domain.suspected import with_check
from dispatch.domain.task import OPEN, ROUTINE, CancelReason, Moved, Task, cancelled, created, new_task_id, renewed

WINDOWS_PER_STEP_MAX: Final = 8


def decide_plan(
    plan: Plan, tasks: Sequence[Task], today: date, rules: VisitRules, beside: Sequence[Task] = ()
) -> Planned:
    """What becomes of `plan`, whose `part` is the newest. `tasks`: the person's open ones of this item, and
    completed ones whose window reaches beyond today; `beside`: the same of other identities of the human. Whoever was
    visited under one of those in this window, or is being visited, is not visited again in it."""
    part, open_ = plan.part, [t for t in tasks if t.state in OPEN]
    if part.died_on is not None:
        return _stop(plan, open_, "died")
    if part.merged:
        return _stop(plan, [t for t in open_ if t.state != "in_progress"], "superseded")
    timeline = runs(part.stretches)
    run = next((r for r in timeline if r.covers(today)), None)
    if part.suspected_on is not None:
        return with_check(plan, tasks, beside, run, today)
    if run is None:
        return _rest(plan, open_, timeline, today)
    if part.in_hospital(today):
        return in_hospital(plan, open_, run, today, rules)
    visited = [t for t in beside if t.state in ("completed", "in_progress") and t.window_from <= today]
    if plan.state != "active":
        planned = _start(plan, open_, run, today, rules, visited)
    elif any(_overlap(t, v) for t in open_ if t.reason in ROUTINE and t.state != "in_progress" for v in visited):
        planned = _change(plan, [*tasks, *visited], run, today, rules)
    elif run.first.care == (plan.division, plan.tier, plan.interval_days):
        planned = _go_on(plan, open_, run, today, rules)
    else:
        planned = _change(plan, tasks, run, today, rules)
    return with_reverification(with_extras(planned, run, today, rules), [*tasks, *beside], run, today, rules)


def _stop(plan: Plan, open_: Sequence[Task], reason: CancelReason) -> Planned:
    """At once and, unless it turns out otherwise, for good; after a death also a visit under way."""
    gone = tuple(cancelled(t, reason) for t in open_)
    stopped = with_changes(plan, state="stopped", cause=reason, act_on=None, suspected_on=None)
    return Planned(forget_cancelled(stopped, gone), gone)


def _rest(plan: Plan, open_: Sequence[Task], timeline: Sequence[Run], today: date) -> Planned:
    coming = next((r.from_ for r in timeline if r.from_ > today), None)
    resting = with_changes(
        plan, state="waiting" if coming else "stopped", cause="not_entitled", act_on=coming, suspected_on=None
    )
    checks = [t for t in open_ if t.reason == "suspicion"]
    others = [t for t in open_ if t.reason != "suspicion"]
    gone = (*cancel_unbegun(checks, "resolved"), *cancel_unbegun(others, "not_entitled"))
    return Planned(forget_cancelled(resting, gone), gone)


def _overlap(a: Task, b: Task) -> bool:
    return a.window_from < b.window_to and b.window_from < a.window_to


def _start(
    plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules, visited: Sequence[Task]
) -> Planned:
    known_ahead = plan.state == "waiting" and plan.act_on == run.from_
    start = run.from_ if known_ahead else today
    home = any(stay.to is not None and stay.to <= today for stay in plan.part.stays)  # else it was never true
    discharged = plan.state == "paused" and plan.cause == "in_hospital" and home
    begun = with_changes(
        with_care(plan, run, today),
        state="active",
        cause=None,
        epoch=plan.epoch + 1,
        started_on=start,
        suspected_on=None,
        last_from=None,
        opened_until=start,
    )
    last = max(visited, key=lambda t: t.window_to, default=None)
    if last is not None:
        begun = with_changes(begun, last_from=last.window_from, opened_until=max(start, last.window_to))
    opened = _open(begun, run, today, rules, first="discharge" if discharged else None if last else "first")
    questions = [t for t in open_ if t.reason in ("suspicion", "stay")]
    others = [t for t in open_ if t not in questions]
    gone = (*cancel_unbegun(questions, "resolved"), *cancel_unbegun(others, "superseded"))
    return opened._replace(moves=(*gone, *opened.moves))


def _go_on(plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """The same care: what now lies behind its end is cancelled, what has come due is opened."""
    beyond = [t for t in open_ if run.to is not None and t.window_from >= run.to and t.reason in ROUTINE]
    if beyond:
        plan = with_changes(plan, epoch=plan.epoch + 1, last_from=None, opened_until=min(t.window_from for t in beyond))
    plan, swapped = _by_other_means(plan, [t for t in open_ if t not in beyond], today)
    opened = _open(with_care(plan, run, today), run, today, rules)
    gone = (*cancel_unbegun(beyond, "not_entitled"), *swapped)
    ended = {moved.task.task_id for moved in gone}
    kept = [t for t in open_ if t.task_id not in ended]
    return opened._replace(moves=(*gone, *_relabelled(kept, run), *opened.moves))


def _by_other_means(plan: Plan, open_: Sequence[Task], today: date) -> tuple[Plan, list[Moved]]:
    """A hint began or ended: a routine visit that is not begun is replaced by one of the other means and the same
    window. The provider learns it by the withdrawal and the new offer."""
    moves: list[Moved] = []
    for task in open_:
        means = plan.part.means_on(max(task.window_from, today))
        if task.reason not in ROUTINE or task.state == "in_progress" or task.window_to <= today or task.by == means:
            continue
        epoch = plan.epoch + 1
        task_id = new_task_id(task.person_id, task.item, task.reason, task.window_from, epoch)
        moves += [cancelled(task, "superseded"), created(renewed(task, task_id, means))]
    return (with_changes(plan, epoch=plan.epoch + 1) if moves else plan), moves


def _change(plan: Plan, tasks: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """Another tier or another place: the windows begin anew, after a visit already made or under way."""
    moved = run.first.division != plan.division
    open_ = [t for t in tasks if t.state in OPEN]
    gone = cancel_unbegun([t for t in open_ if moved or t.reason in ROUTINE], "moved" if moved else "superseded")
    done = [t for t in tasks if t.state in ("completed", "in_progress") and t.window_from <= today]
    last = max(done, key=lambda t: t.window_to, default=None)
    first = any(m.task.reason == "first" for m in gone)
    plan = forget_cancelled(plan, gone)
    anew = with_changes(
        with_care(plan, run, today),
        epoch=plan.epoch + 1,
        last_from=last.window_from if last else None,
        opened_until=max(today, last.window_to) if last else today,
    )
    opened = _open(anew, run, today, rules, first="first" if first else None)
    return opened._replace(moves=(*gone, *opened.moves))


def _open(
    plan: Plan, run: Run, today: date, rules: VisitRules, *, first: Literal["first", "discharge"] | None = None
) -> Planned:
    """The window of today and the one after it stand as tasks, as far as the entitlement reaches."""
    moves: list[Moved] = []
    last, start = plan.last_from, plan.opened_until or today
    interval, ends = plan.interval_days or rules.interval_days_default, False
    while (last is None or last <= today) and len(moves) < WINDOWS_PER_STEP_MAX:
        if first == "discharge":
            window = Window(start, start + timedelta(days=rules.discharge_visit_days))
        else:
            window = first_window(start, rules) if first else next_window(start, interval, last)
        if run.to is not None and window.from_ >= run.to:
            ends = True
            break
        window = Window(window.from_, min(window.to, run.to or window.to))
        reason = first or "plan"
        by = plan.part.means_on(max(window.from_, today)) if reason in ROUTINE else "visit"
        moves.append(created(visit_task(plan, run, reason, window, by=by)))
        last, start, first = window.from_, window.to, None
    full = not ends and last is not None and last <= today  # more to open at the next step
    act_on = today if full else run.to if ends else last
    return Planned(with_changes(plan, last_from=last, opened_until=start, act_on=act_on), tuple(moves))


def _relabelled(open_: Sequence[Task], run: Run) -> Iterator[Moved]:
    """Tasks whose entitlement is now called differently, since its beginning was corrected."""
    for task in open_:
        entitlement_id = run.entitlement_on(task.window_from)
        if task.entitlement_id != entitlement_id:
            yield Moved(msgspec.structs.replace(task, entitlement_id=entitlement_id))
