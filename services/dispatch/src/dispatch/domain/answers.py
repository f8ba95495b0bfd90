"""Decide the effect of a provider's answer on a task.

offered → accepted → in_progress → completed; declined → another provider; failed → another visit.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from common.calendar import civil_date, start_of_day
from common.events import VisitAccepted, VisitCheckedIn, VisitCheckedOut, VisitDeclined
from rules.scales.visits import VisitRules

from dispatch.domain.task import Change, Refused, Repeated, State, Task, failed, visit_event, with_state

AnswerKind = Literal["accept", "decline", "check_in", "check_out", "fail"]
CLOCK_SKEW: Final = timedelta(minutes=5)
OUTCOMES: Final = frozenset({"seen", "not_found", "referred"})
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WORKER: Final = re.compile(r"(?!\d{15,18}[0-9Xx]?$)(?!1\d{10}$)[A-Za-z0-9_.-]{1,64}")  # no ID or phone number


class Answer(NamedTuple):
    """One answer of a provider. `at`: the instant of the step, not of the message. `worker`: code of the visitor.

    `reason` is for decline and fail, `outcome` for a check-out.
    """

    kind: AnswerKind
    provider: str
    at: datetime
    worker: str | None = None
    reason: str | None = None
    outcome: str | None = None


def decide_answer(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change | Repeated | Refused:
    """Return the effect of an answer. A repeated answer of the task's provider changes nothing and is not refused."""
    if task.provider != answer.provider:
        return _without_the_task(task, answer)
    if fault := _fault(answer, now):
        return Refused(fault)
    if task.state in _AFTER[answer.kind]:
        return Repeated(task)
    if task.state not in _BEFORE[answer.kind]:
        return Refused(f"task_is_{task.state}")
    return _DECIDE[answer.kind](task, answer, now, rules)


def _without_the_task(task: Task, answer: Answer) -> Repeated | Refused:
    """Decide the answer of a provider that does not have the task: refuse it, except a decline after an offer."""
    declined = answer.kind == "decline" and answer.provider in task.tried
    return Repeated(task) if declined else Refused("not_yours")


def _fault(answer: Answer, now: datetime) -> str | None:
    """Return the reason to refuse an answer for its own values; None if they are valid.

    Its texts are sent on topics, so they must be codes.
    """
    if answer.at > now + CLOCK_SKEW:
        return "in_the_future"
    if answer.reason is not None and not _CODE.fullmatch(answer.reason):
        return "reason_not_a_code"
    if answer.worker is not None and not _WORKER.fullmatch(answer.worker):
        return "worker_not_a_code"
    return None


def _accept(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change | Refused:
    if task.accept_by is not None and now >= task.accept_by:
        return Refused("offer_expired")
    accepted = with_state(task, "accepted", act_at=start_of_day(task.window_to), accept_by=None)
    return Change(accepted, (visit_event(VisitAccepted, accepted, accepted_at=answer.at),))


def _decline(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change:
    event = visit_event(VisitDeclined, task, reason=answer.reason or "unspecified")
    return Change(with_state(task, "planned", provider=None, accept_by=None), (event,), needs_provider=True)


def _check_in(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change | Refused:
    if not task.window_from <= civil_date(answer.at) < task.window_to:
        return Refused("outside_the_window")
    check_out_by = max(answer.at, now) + timedelta(hours=rules.visit_hours_max)  # a late report has as much time
    begun = with_state(task, "in_progress", checked_in_at=answer.at, worker=answer.worker, act_at=check_out_by)
    return Change(begun, (visit_event(VisitCheckedIn, begun, checked_in_at=answer.at, worker=answer.worker),))


def _check_out(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change | Refused:
    began = task.checked_in_at
    if began is None or answer.at < began:
        return Refused("before_check_in")
    outcome = answer.outcome or "seen"
    if outcome not in OUTCOMES:
        return Refused("unknown_outcome")
    return _completed(task, began, answer.at, answer.worker or task.worker, outcome)


def _completed(task: Task, began: datetime, ended: datetime, worker: str | None, outcome: str) -> Change:
    completed = with_state(
        task, "completed", checked_out_at=ended, worker=worker, outcome=outcome, act_at=None, cause=None
    )
    event = visit_event(
        VisitCheckedOut,
        completed,
        checked_in_at=began,
        checked_out_at=ended,
        worker=worker,
        outcome=outcome,
        entitlement_id=task.entitlement_id,
        reason=task.reason,
    )
    return Change(completed, (event,))


def _fail(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Change:
    return failed(task, answer.reason or "unspecified", now, rules)


_BEFORE: Final[dict[AnswerKind, tuple[State, ...]]] = {
    "accept": ("offered",),
    "decline": ("offered",),
    "check_in": ("accepted",),
    "check_out": ("in_progress",),
    "fail": ("accepted", "in_progress"),
}
_AFTER: Final[dict[AnswerKind, tuple[State, ...]]] = {
    "accept": ("accepted", "in_progress", "completed"),
    "decline": (),
    "check_in": ("in_progress", "completed"),
    "check_out": ("completed",),
    "fail": ("failed",),
}
_Decide = Callable[[Task, Answer, datetime, VisitRules], Change | Refused]
_DECIDE: Final[dict[AnswerKind, _Decide]] = {
    "accept": _accept,
    "decline": _decline,
    "check_in": _check_in,
    "check_out": _check_out,
    "fail": _fail,
}
