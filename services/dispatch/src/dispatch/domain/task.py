"""One visit to be made, and its life: planned → offered → accepted → in_progress → completed, and every other end.

Every function takes the task and says what becomes of it: `Moved` (with what to tell whom), `Repeated` (it was so
already) or `Refused` (with a reason from a closed list).
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
IN_HAND: Final = OPEN - {"planned"}  # of the provider named
ROUTINE: Final = frozenset({"first", "plan"})
URGENT: Final = frozenset({"suspicion", "incident"})
LASTING: Final = frozenset({"suspicion", "reverify", "stay"})  # the visitor must know the question on every try


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The window is [`window_from`, `window_to`). `cause`: why it is still without a provider. `tried`: the
    providers asked so far. `act_at`: when the clock must look at it next, None when it is settled. `by`: whether a
    call may take the place of the visit."""

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


class Moved(NamedTuple):
    """`place`: find it a provider. `created`: the task is new. `told`: messages for providers' own topics."""

    task: Task
    events: tuple[Event, ...] = ()
    told: tuple[TaskOffered | TaskWithdrawn, ...] = ()
    place: bool = False
    created: bool = False
    successor: Task | None = None


class Repeated(NamedTuple):
    task: Task


class Refused(NamedTuple):
    reason: str


def new_task_id(person_id: str, item: str, reason: str, window_from: date, *marks: object) -> str:
    """The same cause names the same task, on whatever path it comes."""
    return derived_id("visit-task", person_id, item, reason, window_from, *marks)


def created(task: Task) -> Moved:
    return Moved(task, (_planned(task),), created=True, place=True)


def offered(moved: Moved, provider: str, now: datetime, rules: VisitRules) -> Moved:
    """The task is put to `provider`, who has until `accept_by` to answer."""
    task = moved.task
    hours = rules.offer_hours_urgent if task.reason in URGENT else rules.offer_hours
    accept_by = min(max(now, start_of_day(task.window_from)) + timedelta(hours=hours), start_of_day(task.window_to))
    task = with_state(
        task,
        "offered",
        provider=provider,
        cause=None,
        accept_by=accept_by,
        act_at=accept_by,
        tried=(*task.tried, provider),
    )
    offer = TaskOffered(
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
    event = visit_event(VisitOffered, task, accept_by=accept_by)
    return moved._replace(task=task, events=(*moved.events, event), told=(*moved.told, offer), place=False)


def left_planned(moved: Moved, cause: str | None, act_at: datetime) -> Moved:
    """No provider has been asked: for a visible cause, or because it is too early (cause None, looked at `act_at`).
    A new cause of an urgent task is told at once."""
    task = with_state(moved.task, "planned", provider=None, cause=cause, accept_by=None, act_at=act_at)
    events = moved.events
    if cause is not None and cause != moved.task.cause and task.reason in URGENT:
        events = (*events, visit_event(VisitUnplaced, task, reason=task.reason, cause=cause))
    return moved._replace(task=task, events=events, place=False)


def cancelled(task: Task, reason: CancelReason) -> Moved:
    event = visit_event(VisitCancelled, task, reason=reason)
    return Moved(with_state(task, "cancelled", act_at=None, cause=reason), (event,), _withdrawn(task, reason))


def failed(task: Task, reason: str, now: datetime, rules: VisitRules) -> Moved:
    """Somebody went, or was to go, and it did not happen: another visit follows."""
    moved = with_state(task, "failed", act_at=None, cause=reason)
    return Moved(moved, (visit_event(VisitFailed, moved, reason=reason),), successor=_successor(task, now, rules))


def decide_excuse(task: Task, reason: ExcuseReason) -> Moved | Repeated | Refused:
    """An officer's word why no visit was possible. Also for one already missed, since proof may come later."""
    if task.state == "excused" and task.cause == reason:
        return Repeated(task)
    if task.state not in ("planned", "offered", "accepted", "missed", "failed"):
        return Refused(f"task_is_{task.state}")
    moved = with_state(task, "excused", act_at=None, cause=reason, accept_by=None)
    return Moved(moved, (visit_event(VisitExcused, moved, reason=reason),), _withdrawn(task, "excused"))


def decide_reassign(task: Task) -> Moved | Refused:
    """Taken from whoever has it, to be put to another provider; the count of offers begins anew."""
    if task.state not in ("planned", "offered", "accepted"):
        return Refused(f"task_is_{task.state}")
    tried = (task.provider,) if task.provider else ()
    moved = with_state(task, "planned", provider=None, accept_by=None, tried=tried)
    return Moved(moved, (), _withdrawn(task, "reassigned"), place=True)


def decide_tick(task: Task, now: datetime, rules: VisitRules) -> Moved | None:
    """What the clock alone does to an open task; None when nothing is due."""
    if task.state == "in_progress":
        begun = task.checked_in_at
        overdue = begun is not None and now >= begun + timedelta(hours=rules.visit_hours_max)
        return failed(task, "no_check_out", now, rules) if overdue else None
    if task.state not in OPEN:
        return None
    if now >= start_of_day(task.window_to):
        moved = with_state(task, "missed", act_at=None, accept_by=None)
        told = _withdrawn(task, "missed")
        return Moved(moved, (visit_event(VisitMissed, moved),), told, successor=_successor(task, now, rules))
    if task.state == "offered" and task.accept_by is not None and now >= task.accept_by:
        event = visit_event(VisitOfferExpired, task)
        moved = with_state(task, "planned", provider=None, accept_by=None)
        return Moved(moved, (event,), _withdrawn(task, "offer_expired"), place=True)
    if task.state == "planned" and task.cause is None:
        return Moved(task, place=True)
    return None


def then(first: Moved, second: Moved) -> Moved:
    """One move after another on the same task, saved as one."""
    return second._replace(
        events=(*first.events, *second.events),
        told=(*first.told, *second.told),
        created=first.created or second.created,
    )


def _successor(task: Task, now: datetime, rules: VisitRules) -> Task | None:
    """The visit that makes good for one missed or failed; after some, the next window and supervision take over. A
    failed call is followed by a visit."""
    if task.redispatches >= rules.redispatches_max:
        return None
    today = civil_date(now)
    days = 1 if task.window_to - task.window_from <= timedelta(days=1) else rules.redispatch_days
    origin = task.origin_task_id or task.task_id
    reason: VisitReason = task.reason if task.reason in LASTING else "redispatch"
    return Task(
        task_id=new_task_id(task.person_id, task.item, "redispatch", today, task.task_id),
        person_id=task.person_id,
        item=task.item,
        reason=reason,
        division=task.division,
        window_from=today,
        window_to=today + timedelta(days=days),
        entitlement_id=task.entitlement_id,
        correlation_id=task.correlation_id,
        tier=task.tier,
        origin_task_id=origin,
        redispatches=task.redispatches + 1,
    )


def renewed(task: Task, task_id: str, by: VisitMeans) -> Task:
    """A new task for the same visit, which nobody has been asked to make yet."""
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


def _planned(task: Task) -> Event:
    return visit_event(
        VisitPlanned, task, reason=task.reason, entitlement_id=task.entitlement_id, tier=task.tier, by=task.by
    )


def _withdrawn(task: Task, reason: str) -> tuple[TaskWithdrawn, ...]:
    if task.provider is None or task.state not in ("offered", "accepted", "in_progress"):
        return ()
    return (TaskWithdrawn(task_id=task.task_id, provider=task.provider, reason=reason),)
