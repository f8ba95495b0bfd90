"""From a person's visiting entitlements to a plan: which windows stand open now and when to look again. Pure.

A plan has an epoch: it changes when the care changes (start, tier, move, restart), and is part of the ids of its
tasks, so that the same window can be opened again after a cancellation but never twice within one epoch.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from rules.visits import Run, VisitRules, Window, first_window, next_window, runs

from dispatch.domain.part import ExtraReason, Part, extras, with_met
from dispatch.domain.task import OPEN, ROUTINE, CancelReason, Moved, Task, cancelled, created, new_task_id

PlanState = Literal["active", "paused", "waiting", "stopped"]
WINDOWS_PER_STEP_MAX: Final = 8


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`opened_until`: where the next window begins; `last_from`: where the last one began. `act_on`: the day on
    which the clock must look again. `suspected_on`: the suspicion that paused it."""

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
    return _with(plan, part=msgspec.structs.replace(plan.part, merged=True))


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
    if run is None:
        return _rest(plan, open_, timeline, today)
    if part.suspected_on is not None:
        return _pause(plan, open_, run, today)
    if part.in_hospital(today):
        return _in_hospital(plan, open_, run, today)
    visited = [t for t in beside if t.state in ("completed", "in_progress") and t.window_from <= today]
    if plan.state != "active":
        planned = _start(plan, open_, run, today, rules, visited)
    elif any(_overlap(t, v) for t in open_ if t.reason in ROUTINE and t.state != "in_progress" for v in visited):
        planned = _change(plan, [*tasks, *visited], run, today, rules)
    elif run.first.care == (plan.division, plan.tier, plan.interval_days):
        planned = _go_on(plan, open_, run, today, rules)
    else:
        planned = _change(plan, tasks, run, today, rules)
    return _with_extras(planned, run, today, rules)


def _stop(plan: Plan, open_: Sequence[Task], reason: CancelReason) -> Planned:
    """At once and for good; after a death also a visit under way."""
    stopped = _with(plan, state="stopped", cause=reason, act_on=None, suspected_on=None)
    return Planned(stopped, tuple(cancelled(t, reason) for t in open_))


def _rest(plan: Plan, open_: Sequence[Task], timeline: Sequence[Run], today: date) -> Planned:
    coming = next((r.from_ for r in timeline if r.from_ > today), None)
    resting = _with(
        plan, state="waiting" if coming else "stopped", cause="not_entitled", act_on=coming, suspected_on=None
    )
    return Planned(resting, _cancel_unbegun(open_, "not_entitled"))


def _pause(plan: Plan, open_: Sequence[Task], run: Run, today: date) -> Planned:
    """One check today instead of the routine; once for each suspicion."""
    suspected_on = plan.part.suspected_on
    if plan.state == "paused" and plan.suspected_on == suspected_on:
        return Planned(_with(plan, act_on=run.to), ())
    paused = _with(
        _care(plan, run, today),
        state="paused",
        cause="suspicion",
        epoch=plan.epoch + 1,
        suspected_on=suspected_on,
        act_on=run.to,
    )
    check = created(_task(paused, run, "suspicion", Window(today, today + timedelta(days=1))))
    gone = _cancel_unbegun(open_, "suspicion")
    return Planned(_forgetting(paused, gone), (*gone, check))


def _in_hospital(plan: Plan, open_: Sequence[Task], run: Run, today: date) -> Planned:
    """Nobody is sent to an empty home; the day of discharge starts the visits again."""
    again = plan.state == "paused" and plan.cause == "in_hospital"
    turn = plan.part.next_turn(today)
    paused = _with(
        _care(plan, run, today),
        state="paused",
        cause="in_hospital",
        epoch=plan.epoch if again else plan.epoch + 1,
        suspected_on=None,
        act_on=min((day for day in (run.to, turn) if day is not None), default=None),
    )
    gone = _cancel_unbegun(open_, "in_hospital")
    return Planned(_forgetting(paused, gone), gone)


def _forgetting(plan: Plan, gone: Sequence[Moved]) -> Plan:
    """What a cancelled visit was for is open again."""
    if all(moved.task.reason in ROUTINE for moved in gone):
        return plan
    return _with(plan, part=msgspec.structs.replace(plan.part, met=()))


def _with_extras(planned: Planned, run: Run, today: date, rules: VisitRules) -> Planned:
    """Visits beside the routine, and the day on which a stay known ahead begins."""
    plan, moves = planned
    turn = plan.part.next_turn(today)
    if turn is not None and (plan.act_on is None or turn < plan.act_on):
        plan = _with(plan, act_on=turn)
    for extra in extras(plan.part, run.first.division, today, rules):
        to = today + timedelta(days=extra.days)
        window = Window(today, min(to, run.to or to))
        if not any(m.created and m.task.reason == extra.reason for m in moves):
            moves = (*moves, created(_task(plan, run, extra.reason, window, *extra.marks)))
        plan = _with(plan, part=with_met(plan.part, extra.marks))
    return Planned(plan, moves)


def _overlap(a: Task, b: Task) -> bool:
    return a.window_from < b.window_to and b.window_from < a.window_to


def _start(
    plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules, visited: Sequence[Task]
) -> Planned:
    known_ahead = plan.state == "waiting" and plan.act_on == run.from_
    start = run.from_ if known_ahead else today
    home = any(stay.to is not None and stay.to <= today for stay in plan.part.stays)  # else it was never true
    discharged = plan.state == "paused" and plan.cause == "in_hospital" and home
    begun = _with(
        _care(plan, run, today),
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
        begun = _with(begun, last_from=last.window_from, opened_until=max(start, last.window_to))
    opened = _open(begun, run, today, rules, first="discharge" if discharged else None if last else "first")
    return opened._replace(moves=(*_cancel_unbegun(open_, "superseded"), *opened.moves))


def _go_on(plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """The same care: what now lies behind its end is cancelled, what has come due is opened."""
    beyond = [t for t in open_ if run.to is not None and t.window_from >= run.to and t.reason in ROUTINE]
    if beyond:
        plan = _with(plan, epoch=plan.epoch + 1, last_from=None, opened_until=min(t.window_from for t in beyond))
    opened = _open(_care(plan, run, today), run, today, rules)
    gone = _cancel_unbegun(beyond, "not_entitled")
    kept = [t for t in open_ if t not in beyond]
    return opened._replace(moves=(*gone, *_relabelled(kept, run), *opened.moves))


def _change(plan: Plan, tasks: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """Another tier or another place: the windows begin anew, after a visit already made or under way."""
    moved = run.first.division != plan.division
    open_ = [t for t in tasks if t.state in OPEN]
    gone = _cancel_unbegun([t for t in open_ if moved or t.reason in ROUTINE], "moved" if moved else "superseded")
    done = [t for t in tasks if t.state in ("completed", "in_progress") and t.window_from <= today]
    last = max(done, key=lambda t: t.window_to, default=None)
    first = any(m.task.reason == "first" for m in gone)
    plan = _forgetting(plan, gone)
    anew = _with(
        _care(plan, run, today),
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
        moves.append(created(_task(plan, run, first or "plan", window)))
        last, start, first = window.from_, window.to, None
    full = not ends and last is not None and last <= today  # more to open at the next step
    act_on = today if full else run.to if ends else last
    return Planned(_with(plan, last_from=last, opened_until=start, act_on=act_on), tuple(moves))


def _task(
    plan: Plan, run: Run, reason: Literal["first", "plan", "suspicion"] | ExtraReason, window: Window, *marks: str
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
    )


def _care(plan: Plan, run: Run, today: date) -> Plan:
    division, tier, interval_days = run.first.care
    return _with(
        plan, division=division, tier=tier, interval_days=interval_days, entitlement_id=run.entitlement_on(today)
    )


def _relabelled(open_: Sequence[Task], run: Run) -> Iterator[Moved]:
    """Tasks whose entitlement is now called differently, since its beginning was corrected."""
    for task in open_:
        entitlement_id = run.entitlement_on(task.window_from)
        if task.entitlement_id != entitlement_id:
            yield Moved(msgspec.structs.replace(task, entitlement_id=entitlement_id))


def _cancel_unbegun(open_: Sequence[Task], reason: CancelReason) -> tuple[Moved, ...]:
    """A visit under way is left to end."""
    return tuple(cancelled(t, reason) for t in open_ if t.state != "in_progress")


def _with(plan: Plan, **changes: object) -> Plan:
    return msgspec.structs.replace(plan, **changes)
