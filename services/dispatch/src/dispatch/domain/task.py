"""Define visit tasks and decide their changes: planned → offered → accepted → in_progress → completed, or other ends.

A decision about a task returns `Change` (with its events and messages), `Repeated` (nothing changes) or `Refused`
(with a reason from a closed list).
"""

from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from common.calendar import civil_date, start_of_day
from common.events import (
    Event,
    TaskOffered,
    TaskWithdrawn,
    VisitCancelled,
    VisitExcused,
    VisitFailed,
    VisitMissed,
    VisitOffered,
    VisitOfferExpired,
    VisitPlanned,
    VisitUnplaced,
)
from common.events.visit import VisitMeans, VisitReason
from common.message import derived_id
from rules.scales.visits import VisitRules

State = Literal[
    "planned", "offered", "accepted", "in_progress", "completed", "missed", "failed", "excused", "expired", "cancelled"
]
ExcuseReason = Literal["in_hospital", "in_institution", "away", "declined_by_person", "extreme_weather"]
CancelReason = Literal["died", "not_entitled", "moved", "suspicion", "in_hospital", "superseded", "resolved"]
OPEN: Final = frozenset({"planned", "offered", "accepted", "in_progress"})
ASSIGNED: Final = OPEN - {"planned"}
ROUTINE: Final = frozenset({"first", "plan"})
URGENT: Final = frozenset({"suspicion", "incident"})
QUESTIONS: Final = frozenset({"suspicion", "reverify", "stay"})  # a repeated visit keeps this reason


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task to visit one person. The window is [`window_from`, `window_to`), civil days.

    `by`: `call` if a call may take the place of the visit. `cause`: the reason for the missing provider, or for the
    end. `tried`: providers that received an offer since the last reassignment, and the provider from whom it took the
    task.
    `act_at`: the instant of the next step of the job, None if closed.
    """

    task_id: str
    person_id: str
    item: str
    reason: VisitReason
    division: str
    window_from: date
    window_to: date
    entitlement_id: str
    correlation_id: str
    by: VisitMeans = "visit"
    state: State = "planned"
    tier: str | None = None
    provider: str | None = None
    cause: str | None = None
    accept_by: datetime | None = None
    checked_in_at: datetime | None = None
    checked_out_at: datetime | None = None
    worker: str | None = None
    outcome: str | None = None
    tried: tuple[str, ...] = ()
    origin_task_id: str | None = None
    redispatches: int = 0
    act_at: datetime | None = None


class Change(NamedTuple):
    """A task after a step. `provider_messages` go to the topics of providers. `needs_provider`: an offer follows.

    `created`: the task is new. `successor`: the visit that repeats a missed or failed one.
    """

    task: Task
    events: tuple[Event, ...] = ()
    provider_messages: tuple[TaskOffered | TaskWithdrawn, ...] = ()
    needs_provider: bool = False
    created: bool = False
    successor: Task | None = None


class Repeated(NamedTuple):
    task: Task


class Refused(NamedTuple):
    reason: str


def new_task_id(person_id: str, item: str, reason: str, window_from: date, *marks: object) -> str:
    """Derive the id of a task. The same cause gives the same id, so that no task is created twice."""
    return derived_id("visit-task", person_id, item, reason, window_from, *marks)


def created(task: Task) -> Change:
    """Return the change that creates a task. An offer to a provider follows, at once or before the window."""
    planned = visit_event(
        VisitPlanned, task, reason=task.reason, entitlement_id=task.entitlement_id, tier=task.tier, by=task.by
    )
    return Change(task, (planned,), created=True, needs_provider=True)


def offered(change: Change, provider: str, now: datetime, rules: VisitRules) -> Change:
    """Offer the task to `provider`, who must answer before `accept_by`."""
    accept_by = _accept_by(change.task, now, rules)
    task = with_state(
        change.task,
        "offered",
        provider=provider,
        cause=None,
        accept_by=accept_by,
        act_at=accept_by,
        tried=(*change.task.tried, provider),
    )
    return change._replace(
        task=task,
        events=(*change.events, visit_event(VisitOffered, task, accept_by=accept_by)),
        provider_messages=(*change.provider_messages, _offer(task, provider, accept_by)),
        needs_provider=False,
    )


def _accept_by(task: Task, now: datetime, rules: VisitRules) -> datetime:
    """Return the deadline of an offer: hours after now or the window's begin (the later), at most the window's end."""
    hours = rules.offer_hours_urgent if task.reason in URGENT else rules.offer_hours
    begin = max(now, start_of_day(task.window_from))
    return min(begin + timedelta(hours=hours), start_of_day(task.window_to))


def _offer(task: Task, provider: str, accept_by: datetime) -> TaskOffered:
    return TaskOffered(
        task_id=task.task_id,
        provider=provider,
        item=task.item,
        reason=task.reason,
        division=task.division,
        window_from=task.window_from,
        window_to=task.window_to,
        accept_by=accept_by,
        tier=task.tier,
        by=task.by,
    )


def left_planned(change: Change, cause: str | None, act_at: datetime) -> Change:
    """Leave a task without an offer, for `cause` or because it is too early (None). The next step is at `act_at`.

    A new cause of an urgent task is emitted at once.
    """
    task = with_state(change.task, "planned", provider=None, cause=cause, accept_by=None, act_at=act_at)
    events = change.events
    if cause is not None and cause != change.task.cause and task.reason in URGENT:
        events = (*events, visit_event(VisitUnplaced, task, reason=task.reason, cause=cause))
    return change._replace(task=task, events=events, needs_provider=False)


def cancelled(task: Task, reason: CancelReason) -> Change:
    event = visit_event(VisitCancelled, task, reason=reason)
    return Change(with_state(task, "cancelled", act_at=None, cause=reason), (event,), _withdrawn(task, reason))


def failed(task: Task, reason: str, now: datetime, rules: VisitRules) -> Change:
    """Fail an accepted or begun visit. Another task follows, at most `redispatches_max` times."""
    ended = with_state(task, "failed", act_at=None, cause=reason)
    return Change(ended, (visit_event(VisitFailed, ended, reason=reason),), successor=_successor(task, now, rules))


def decide_excuse(task: Task, reason: ExcuseReason) -> Change | Repeated | Refused:
    """Excuse a task because no visit was possible, also after the visit was missed or failed."""
    if task.state == "excused" and task.cause == reason:
        return Repeated(task)
    if task.state not in ("planned", "offered", "accepted", "missed", "failed"):
        return Refused(f"task_is_{task.state}")
    excused = with_state(task, "excused", act_at=None, cause=reason, accept_by=None)
    return Change(excused, (visit_event(VisitExcused, excused, reason=reason),), _withdrawn(task, "excused"))


def decide_reassign(task: Task) -> Change | Refused:
    """Withdraw the task from its provider, for an offer to another one. The count of offers starts again."""
    if task.state not in ("planned", "offered", "accepted"):
        return Refused(f"task_is_{task.state}")
    tried = (task.provider,) if task.provider else ()
    open_again = with_state(task, "planned", provider=None, accept_by=None, tried=tried)
    return Change(open_again, (), _withdrawn(task, "reassigned"), needs_provider=True)


def decide_tick(task: Task, now: datetime, rules: VisitRules) -> Change | None:
    """The step that is due at `now` without any answer; None if nothing is due."""
    if task.state == "in_progress":
        overdue = task.act_at is not None and now >= task.act_at
        return failed(task, "no_check_out", now, rules) if overdue else None
    if task.state not in OPEN:
        return None
    if now >= start_of_day(task.window_to):
        return _missed(task, now, rules)
    if task.state == "offered" and task.accept_by is not None and now >= task.accept_by:
        return _offer_expired(task)
    if task.state == "planned" and task.cause is None:
        return Change(task, needs_provider=True)
    return None


def _missed(task: Task, now: datetime, rules: VisitRules) -> Change:
    ended = with_state(task, "missed", act_at=None, accept_by=None)
    successor = _successor(task, now, rules)
    return Change(ended, (visit_event(VisitMissed, ended),), _withdrawn(task, "missed"), successor=successor)


def _offer_expired(task: Task) -> Change:
    event = visit_event(VisitOfferExpired, task)
    open_again = with_state(task, "planned", provider=None, accept_by=None)
    return Change(open_again, (event,), _withdrawn(task, "offer_expired"), needs_provider=True)


def combined(first: Change, second: Change) -> Change:
    """Combine two changes of one task into one, because a transaction saves a task once."""
    return second._replace(
        events=(*first.events, *second.events),
        provider_messages=(*first.provider_messages, *second.provider_messages),
        created=first.created or second.created,
    )


def _successor(task: Task, now: datetime, rules: VisitRules) -> Task | None:
    """Return the task that repeats a missed or failed one; None after `redispatches_max` repetitions.

    After the last repetition only the next window and an alert of supervision follow. A call is repeated as a visit.
    """
    if task.redispatches >= rules.redispatches_max:
        return None
    today = civil_date(now)
    reason: VisitReason = task.reason if task.reason in QUESTIONS else "redispatch"
    return Task(
        task_id=new_task_id(task.person_id, task.item, "redispatch", today, task.task_id),
        person_id=task.person_id,
        item=task.item,
        reason=reason,
        division=task.division,
        window_from=today,
        window_to=today + _successor_length(task, rules),
        entitlement_id=task.entitlement_id,
        correlation_id=task.correlation_id,
        tier=task.tier,
        origin_task_id=task.origin_task_id or task.task_id,
        redispatches=task.redispatches + 1,
    )


def _successor_length(task: Task, rules: VisitRules) -> timedelta:
    """Return the length of the repeated window: one day after a window of one day, else `redispatch_days`."""
    one_day = timedelta(days=1)
    return one_day if task.window_to - task.window_from <= one_day else timedelta(days=rules.redispatch_days)


def renewed(task: Task, task_id: str, by: VisitMeans) -> Task:
    """Return a new task for the same visit and window, without any offer."""
    return Task(
        task_id=task_id,
        person_id=task.person_id,
        item=task.item,
        reason=task.reason,
        division=task.division,
        window_from=task.window_from,
        window_to=task.window_to,
        entitlement_id=task.entitlement_id,
        correlation_id=task.correlation_id,
        by=by,
        tier=task.tier,
    )


def with_state(task: Task, state: State, **changes: object) -> Task:
    return msgspec.structs.replace(task, state=state, **changes)


def visit_event(cls: type[Event], task: Task, **more: object) -> Event:
    return cls(
        person_id=task.person_id,
        task_id=task.task_id,
        item=task.item,
        division=task.division,
        window_from=task.window_from,
        window_to=task.window_to,
        provider=task.provider,
        **more,
    )


def _withdrawn(task: Task, reason: str) -> tuple[TaskWithdrawn, ...]:
    """Return the message that withdraws a task from its provider; empty if no provider has the task."""
    if task.provider is None or task.state not in ("offered", "accepted", "in_progress"):
        return ()
    return (TaskWithdrawn(task_id=task.task_id, provider=task.provider, reason=reason),)
