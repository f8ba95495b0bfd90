"""What a provider's answer does to a task. Pure.

offered → accepted → in_progress → completed; declined → another provider; failed → another visit.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from common.calendar import civil_date, start_of_day
from common.events import VisitAccepted, VisitCheckedIn, VisitCheckedOut, VisitDeclined
from rules.scales.visits import VisitRules

from dispatch.domain.task import Moved, Refused, Repeated, State, Task, failed, visit_event, with_state

AnswerKind = Literal["accept", "decline", "check_in", "check_out", "fail"]
CLOCK_SKEW: Final = timedelta(minutes=5)
OUTCOMES: Final = frozenset({"seen", "not_found", "referred"})
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WORKER: Final = re.compile(r"(?!\d{15,18}[0-9Xx]?$)(?!1\d{10}$)[A-Za-z0-9_.-]{1,64}")  # no ID or phone number


class Answer(NamedTuple):
    kind: AnswerKind
    provider: str
    at: datetime
    worker: str | None = None
    reason: str | None = None
    outcome: str | None = None


def decide_answer(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved | Repeated | Refused:
    """What a provider's answer does. A repeated answer changes nothing and is no fault."""
    if task.provider != answer.provider:
        return Repeated(task) if answer.kind == "decline" and answer.provider in task.tried else Refused("not_yours")
    if fault := _fault(answer, now):
        return Refused(fault)
    if task.state in _AFTER[answer.kind]:
        return Repeated(task)
    if task.state not in _BEFORE[answer.kind]:
        return Refused(f"task_is_{task.state}")
    return _DECIDE[answer.kind](task, answer, now, rules)


def _fault(answer: Answer, now: datetime) -> str | None:
    """What is wrong with the answer itself. Its words travel on topics, so no free text comes through."""
    if answer.at > now + CLOCK_SKEW:
        return "in_the_future"
    if answer.reason is not None and not _WORD.fullmatch(answer.reason):
        return "reason_not_a_code"
    if answer.worker is not None and not _WORKER.fullmatch(answer.worker):
        return "worker_not_a_code"
    return None


def _accept(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved | Refused:
    if task.accept_by is not None and now >= task.accept_by:
        return Refused("offer_expired")
    moved = with_state(task, "accepted", act_at=start_of_day(task.window_to), accept_by=None)
    return Moved(moved, (visit_event(VisitAccepted, moved, accepted_at=answer.at),))


def _decline(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved:
    event = visit_event(VisitDeclined, task, reason=answer.reason or "unspecified")
    return Moved(with_state(task, "planned", provider=None, accept_by=None), (event,), place=True)


def _check_in(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved | Refused:
    on = civil_date(answer.at)
    if not task.window_from <= on < task.window_to:
        return Refused("outside_the_window")
    moved = with_state(
        task,
        "in_progress",
        checked_in_at=answer.at,
        worker=answer.worker,
        act_at=answer.at + timedelta(hours=rules.visit_hours_max),
    )
    return Moved(moved, (visit_event(VisitCheckedIn, moved, checked_in_at=answer.at, worker=answer.worker),))


def _check_out(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved | Refused:
    began = task.checked_in_at
    if began is None or answer.at < began:
        return Refused("before_check_in")
    outcome = answer.outcome or "seen"
    if outcome not in OUTCOMES:
        return Refused("unknown_outcome")
    worker = answer.worker or task.worker
    moved = with_state(
        task, "completed", checked_out_at=answer.at, worker=worker, outcome=outcome, act_at=None, cause=None
    )
    event = visit_event(
        VisitCheckedOut,
        moved,
        checked_in_at=began,
        checked_out_at=answer.at,
        worker=worker,
        outcome=outcome,
        entitlement_id=task.entitlement_id,
        reason=task.reason,
    )
    return Moved(moved, (event,))


def _fail(task: Task, answer: Answer, now: datetime, rules: VisitRules) -> Moved:
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
_Decide = Callable[[Task, Answer, datetime, VisitRules], Moved | Refused]
_DECIDE: Final[dict[AnswerKind, _Decide]] = {
    "accept": _accept,
    "decline": _decline,
    "check_in": _check_in,
    "check_out": _check_out,
    "fail": _fail,
}
