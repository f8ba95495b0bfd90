"""Visits beside the routine: after an incident, after a stay in hospital, where living tags have grown old. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from rules.scales.visits import Run, VisitRules, Window

from dispatch.domain.ageing import ageing
from dispatch.domain.part import Extra, extras, reverify_mark, with_met
from dispatch.domain.plan import Plan, Planned, cancel_unbegun, forget_cancelled, visit_task, with_changes
from dispatch.domain.task import OPEN, Moved, Task, created


def with_extras(planned: Planned, run: Run, today: date, rules: VisitRules) -> Planned:
    """Incidents and ended stays, and the day on which a stay known ahead begins."""
    plan = _looked_at_by(planned.plan, planned.plan.part.next_turn(today))
    planned = planned._replace(plan=plan)
    for extra in extras(plan.part, run.first.division, today, rules):
        planned = _sent(planned, extra, run, today, go=not any(_is_new(m, extra.reason) for m in planned.moves))
    return planned


class Asked(NamedTuple):
    """`mark`: what somebody is to see about, None while the living tags are believed. `turns_on`: the next day on which
    the clock changes that."""

    mark: str | None
    turns_on: date | None


def reverification(plan: Plan, run: Run, today: date, rules: VisitRules) -> Asked:
    """Whether the living tags of today are to be seen about. Who is being visited for the first time is seen anyway, so
    nobody is sent beside that."""
    months = run.stretch_on(today).reverify_months
    old_since, turns_on = ageing(plan.part.tags, months, today)
    turns = [turns_on, *(s.from_ for s in run.stretches if s.from_ > today and s.reverify_months != months)]
    settled_on = (plan.started_on or today) + timedelta(days=rules.first_visit_days)
    mark = None
    if old_since is not None and today < settled_on:
        turns.append(settled_on)
    elif old_since is not None:
        mark = reverify_mark(old_since, run.first.division)
    return Asked(mark, min((day for day in turns if day is not None), default=None))


def with_reverification(planned: Planned, tasks: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """One visit for old living tags, once for each time they grow old; called off when somebody has said how it is.
    `tasks`: those there were, of every identity of the human."""
    asked = reverification(planned.plan, run, today, rules)
    plan, moves = _looked_at_by(planned.plan, asked.turns_on), planned.moves
    gone = {m.task.task_id for m in moves if m.task.state == "cancelled"}
    standing = [t for t in tasks if t.reason == "reverify" and t.task_id not in gone]
    own = [t for t in standing if t.person_id == plan.person_id and t.state in OPEN]
    if asked.mark is None:
        return _called_off(Planned(plan, moves), own)
    if asked.mark in plan.part.met:
        return Planned(plan, moves)
    extra = Extra("reverify", (asked.mark,), rules.reverify_visit_days)
    seen = own or [t for t in standing if t.person_id != plan.person_id and t.state in ("completed", "in_progress")]
    return _sent(Planned(plan, moves), extra, run, today, go=not seen)


def _called_off(planned: Planned, standing: Sequence[Task]) -> Planned:
    """A new epoch, so that the same can be asked again on the same day."""
    unbegun = {t.task_id: t for t in standing if t.state != "in_progress"}
    if not unbegun:
        return planned
    gone = cancel_unbegun([*unbegun.values()], "superseded")
    plan = with_changes(planned.plan, epoch=planned.plan.epoch + 1)
    kept = [m for m in planned.moves if m.task.task_id not in unbegun]
    return Planned(forget_cancelled(plan, gone), (*kept, *gone))


def _sent(planned: Planned, extra: Extra, run: Run, today: date, *, go: bool) -> Planned:
    """Somebody goes for `extra` (with `go`: otherwise somebody does already), and it is remembered."""
    plan, moves = planned
    if go:
        to = today + timedelta(days=extra.days)
        window = Window(today, min(to, run.to or to))
        moves = (*moves, created(visit_task(plan, run, extra.reason, window, *extra.marks, by=extra.by)))
    return Planned(with_changes(plan, part=with_met(plan.part, extra.marks)), moves)


def _is_new(moved: Moved, reason: str) -> bool:
    return moved.created and moved.task.reason == reason


def _looked_at_by(plan: Plan, day: date | None) -> Plan:
    if day is None or (plan.act_on is not None and plan.act_on <= day):
        return plan
    return with_changes(plan, act_on=day)
