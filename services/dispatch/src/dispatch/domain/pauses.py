"""Pause the routine visits during a hospital stay or a suspected death.

The stay question is a task that asks whether an open stay continues. It is made once in each term of `open_stay_days`
after the first. The check of a suspected death is a task for the same day, also for a person without a visiting
entitlement.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from common.message import derived_id
from rules.scales.visits import Run, VisitRules, Window

from dispatch.domain.facts import Stay, VisitFacts, earliest, stay_mark, with_handled
from dispatch.domain.plan import (
    Plan,
    PlanDecision,
    cancel_unbegun,
    extra_window,
    forget_cancelled,
    having,
    not_having,
    updated,
    visit_task,
    with_care,
)
from dispatch.domain.task import OPEN, Change, Task, created, new_task_id

_SAME_DEATH: Final = ("suspicion", "superseded", "died")  # after another cause, the earlier suspicion was cleared
_UNKNOWN_BEGIN: Final = date(2000, 1, 1)  # the terms of a stay without a known beginning start here


class StayQuestion(NamedTuple):
    """The result of `stay_question`. `mark`: the mark of the question that is due in the present term, None for none.

    `changes_on`: the first day of the next term.
    """

    mark: str | None
    changes_on: date | None


def stay_question(facts: VisitFacts, division: str, today: date, rules: VisitRules) -> StayQuestion:
    """Decide whether a visitor must ask about the stays of today.

    No question is due in the first term of a stay, or in a term in which its known end lies.
    """
    term = timedelta(days=rules.open_stay_days)
    stays = sorted((stay for stay in facts.stays if stay.covers(today)), key=_begin_of)
    terms = [_term_of(stay, today, term) for stay in stays]
    due = [on for stay, on in zip(stays, terms, strict=True) if _needs_question(stay, on, term)]
    return StayQuestion(stay_mark(due[0], division) if due else None, earliest(on + term for on in terms))


def _needs_question(stay: Stay, began_on: date, term: timedelta) -> bool:
    """Whether a stay needs a question in its present term, which began on `began_on`."""
    ends_within_term = stay.to is not None and stay.to <= began_on + term
    return began_on > _begin_of(stay) and not ends_within_term


def _begin_of(stay: Stay) -> date:
    return stay.from_ or _UNKNOWN_BEGIN


def _term_of(stay: Stay, today: date, term: timedelta) -> date:
    """The first day of the present term of a stay."""
    begin = _begin_of(stay)
    return begin + (today - begin) // term * term


def pause_for_stay(plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules) -> PlanDecision:
    """Cancel the visits of a person in hospital, pause the plan, and ask about the stay if that is due.

    The visits start again on the day on which the stay ends.
    """
    division = run.first.division
    question = stay_question(plan.facts, division, today, rules)
    ended = _cancel_for_stay(open_, division)
    paused = forget_cancelled(_paused_for_stay(plan, run, question, today), ended)
    if question.mark is None or question.mark in paused.facts.handled:
        return PlanDecision(paused, ended)
    asked = [task for task in having(open_, "stay") if task.division == division]
    return _with_question(PlanDecision(paused, ended), question.mark, asked, run, today, rules)


def _cancel_for_stay(open_: Sequence[Task], division: str) -> tuple[Change, ...]:
    """Cancel all visits that have not begun, except questions about the stay at the present place."""
    elsewhere = [task for task in having(open_, "stay") if task.division != division]
    return (
        *cancel_unbegun(not_having(open_, "stay", "suspicion"), "in_hospital"),
        *cancel_unbegun(having(open_, "suspicion"), "resolved"),
        *cancel_unbegun(elsewhere, "moved"),
    )


def _paused_for_stay(plan: Plan, run: Run, question: StayQuestion, today: date) -> Plan:
    already = plan.state == "paused" and plan.cause == "in_hospital"
    days = (run.to, plan.facts.next_change(today), question.changes_on)
    return updated(
        with_care(plan, run, today),
        state="paused",
        cause="in_hospital",
        epoch=plan.epoch if already else plan.epoch + 1,
        suspected_on=None,
        act_on=earliest(days),
    )


def _with_question(
    decision: PlanDecision, mark: str, asked: Sequence[Task], run: Run, today: date, rules: VisitRules
) -> PlanDecision:
    """Add the question of a new term, and cancel the open questions of earlier terms (`asked`).

    A question in progress continues and also answers the new one.
    """
    plan = decision.plan
    changes = (*decision.changes, *cancel_unbegun(asked, "superseded"))
    if not any(task.state == "in_progress" for task in asked):
        window = extra_window(run, today, rules.open_stay_check_days)
        changes = (*changes, created(visit_task(plan, run, "stay", window, mark)))
    return PlanDecision(updated(plan, facts=with_handled(plan.facts, (mark,))), changes)


def pause_for_suspicion(
    plan: Plan, tasks: Sequence[Task], alias_tasks: Sequence[Task], run: Run | None, today: date
) -> PlanDecision:
    """Pause the plan for a suspected death: one check replaces all other visits, once per suspicion and place.

    The window is the civil day, also late in the evening. A missed check is repeated on the next day. No check follows
    if one of today is in progress, or has seen or referred the person, also under another identity. After a cleared
    suspicion, a new one needs a new check, except if the earlier check was made under another identity.

    `run`: the visiting care of today, None without an entitlement. `tasks`: open ones, and completed ones with a window
    that ends after today. `alias_tasks`: such tasks of the human's other identities.
    """
    facts = plan.facts
    place = facts.check_division or plan.division or (run.first.division if run else "")
    known = plan.cause == "suspicion" and plan.suspected_on == facts.suspected_on
    if plan.state == "paused" and known and plan.division == place:
        return PlanDecision(updated(plan, act_on=None), ())
    paused = _paused_for_suspicion(plan, run, place, today)
    others = [task for task in tasks if task.state in OPEN and not _is_open_check(task, place, today)]
    ended = cancel_unbegun(others, "moved" if known else "suspicion")
    same = plan.cause in _SAME_DEATH
    checked = any(_is_checked(t) and (same or t.state == "in_progress") for t in tasks)
    has_check = checked or any(_is_open_check(t, place, today) for t in tasks) or any(map(_is_checked, alias_tasks))
    checks = () if has_check else (created(_check(paused, run, today)),)
    return PlanDecision(forget_cancelled(paused, ended), (*ended, *checks))


def _paused_for_suspicion(plan: Plan, run: Run | None, place: str, today: date) -> Plan:
    cared = with_care(plan, run, today) if run else updated(plan, tier=None, interval_days=None)
    return updated(
        cared,
        state="paused",
        cause="suspicion",
        division=place,
        entitlement_id=run.entitlement_on(today) if run else None,
        epoch=plan.epoch + 1,
        suspected_on=plan.facts.suspected_on,
        last_from=today,
        act_on=None,
    )


def _is_open_check(task: Task, place: str, today: date) -> bool:
    return task.reason == "suspicion" and task.state in OPEN and task.division == place and task.window_to > today


def _is_checked(task: Task) -> bool:
    """Whether a task is a check that was completed or is in progress. A check that found no person does not count."""
    if task.reason != "suspicion":
        return False
    return task.state == "in_progress" or (task.state == "completed" and task.outcome != "not_found")


def _check(plan: Plan, run: Run | None, today: date) -> Task:
    """Return the task of today that checks the suspected death."""
    window = Window(today, today + timedelta(days=1))
    without_entitlement = derived_id("suspicion", plan.person_id, plan.suspected_on)
    return Task(
        task_id=new_task_id(plan.person_id, plan.item, "suspicion", window.from_, plan.epoch),
        person_id=plan.person_id,
        item=plan.item,
        reason="suspicion",
        division=plan.division or "",
        window_from=window.from_,
        window_to=window.to,
        entitlement_id=plan.entitlement_id or without_entitlement,
        correlation_id=plan.correlation_id,
        tier=run.first.tier if run else None,
    )
