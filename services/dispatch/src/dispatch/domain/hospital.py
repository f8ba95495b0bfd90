"""A stay in hospital: the visits pause, and an open stay is asked about every `open_stay_days`. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from rules.scales.visits import Run, VisitRules, Window

from dispatch.domain.part import Part, Stay, stay_mark, with_met
from dispatch.domain.plan import Plan, Planned, cancel_unbegun, forget_cancelled, visit_task, with_care, with_changes
from dispatch.domain.task import Task, created

_SINCE_LONG: Final = date(2000, 1, 1)  # the terms of a stay without a known beginning are counted from here


class Question(NamedTuple):
    """`mark`: of the question that is due in the present term, None without one. `turns_on`: the day on which the next
    term begins."""

    mark: str | None
    turns_on: date | None


def stay_question(part: Part, division: str, today: date, rules: VisitRules) -> Question:
    """Whether the stay of today is to be asked about. A stay that is known to end within the term is not."""
    term = timedelta(days=rules.open_stay_days)
    stays = sorted((s for s in part.stays if s.holds_on(today)), key=_anchor)
    due = [begun for s in stays if (begun := _term_of(s, today, term)) > _anchor(s) and _goes_on(s, begun + term)]
    coming = [_term_of(s, today, term) + term for s in stays]
    return Question(stay_mark(due[0], division) if due else None, min(coming, default=None))


def in_hospital(plan: Plan, open_: Sequence[Task], run: Run, today: date, rules: VisitRules) -> Planned:
    """Nobody is sent to an empty home. The visits start again on the day on which a fact ends the stay."""
    again = plan.state == "paused" and plan.cause == "in_hospital"
    division = run.first.division
    question = stay_question(plan.part, division, today, rules)
    turns = (run.to, plan.part.next_turn(today), question.turns_on)
    paused = with_changes(
        with_care(plan, run, today),
        state="paused",
        cause="in_hospital",
        epoch=plan.epoch if again else plan.epoch + 1,
        suspected_on=None,
        act_on=min((day for day in turns if day is not None), default=None),
    )
    asked = [t for t in open_ if t.reason == "stay" and t.division == division]
    elsewhere = [t for t in open_ if t.reason == "stay" and t not in asked]
    checks = [t for t in open_ if t.reason == "suspicion"]
    routine = [t for t in open_ if t.reason not in ("stay", "suspicion")]
    gone = (
        *cancel_unbegun(routine, "in_hospital"),
        *cancel_unbegun(checks, "resolved"),
        *cancel_unbegun(elsewhere, "moved"),
    )
    paused = forget_cancelled(paused, gone)
    if question.mark is None or question.mark in paused.part.met:
        return Planned(paused, gone)
    gone = (*gone, *cancel_unbegun(asked, "superseded"))  # left over from the term before
    noted = with_changes(paused, part=with_met(paused.part, (question.mark,)))
    if any(t.state == "in_progress" for t in asked):
        return Planned(noted, gone)
    to = today + timedelta(days=rules.open_stay_check_days)
    window = Window(today, min(to, run.to or to))
    return Planned(noted, (*gone, created(visit_task(paused, run, "stay", window, question.mark))))


def _anchor(stay: Stay) -> date:
    return stay.from_ or _SINCE_LONG


def _term_of(stay: Stay, today: date, term: timedelta) -> date:
    """The day on which the present term of a stay began: its first day, or a whole number of terms later."""
    return _anchor(stay) + (today - _anchor(stay)) // term * term


def _goes_on(stay: Stay, day: date) -> bool:
    """Whether the stay is open, or known to last beyond `day`."""
    return stay.to is None or stay.to > day
