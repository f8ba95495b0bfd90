"""HTTP bodies and answers about tasks, feed messages and providers."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from rules.scales.visits import VISIT_ITEMS
from shell.http.params import ONE_LINE, Body, DivisionCode

from dispatch.domain.providers import provider_topic
from dispatch.domain.task import State, Task
from dispatch.store import FeedEntry, ProviderEntry, StoredTask

Item = Annotated[str, StringConstraints(max_length=64, pattern=ONE_LINE)]
Subscription = Literal["kafka", "webhook", "poll"]


class WindowOut(BaseModel):
    """The window of a task: [from, to), civil dates."""

    model_config = ConfigDict(populate_by_name=True)
    from_: date = Field(alias="from")
    to: date


class TaskOut(BaseModel):
    task_id: str
    person_id: str = Field(description="a surrogate id")
    item: str
    reason: Literal["plan", "first", "incident", "discharge", "redispatch", "suspicion", "reverify", "order", "stay"]
    tier: str | None
    by: Literal["visit", "call"] = Field(description="call: a call may take the place of the visit")
    window: WindowOut
    division: str
    provider: str | None
    verdict: str | None
    correlation_id: str
    state: State
    cause: str | None = Field(description="why no provider received an offer, or why the task ended")
    entitlement_id: str
    accept_by: datetime | None
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    worker: str | None
    outcome: str | None
    origin_task_id: str | None


class TasksOut(BaseModel):
    """`next`: the value of `after` for the following page; null on the last page."""

    tasks: list[TaskOut]
    next: str | None


def task_out(task: Task, verdict: str | None = None) -> TaskOut:
    window = WindowOut.model_validate({"from": task.window_from, "to": task.window_to})
    return TaskOut.model_validate({**msgspec.structs.asdict(task), "verdict": verdict, "window": window})


def tasks_page(stored: Sequence[StoredTask], limit: int) -> TasksOut:
    tasks = [task_out(one.task, one.verdict) for one in stored]
    return TasksOut(tasks=tasks, next=tasks[-1].task_id if len(tasks) == limit else None)


class MessageOut(BaseModel):
    """A CloudEvent as on `dispatch.provider.<uscc>`. `sequence` numbers the provider's messages without gaps."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: Literal["urn:shouwang:dispatch"] = "urn:shouwang:dispatch"
    type: str
    time: datetime
    subject: str = Field(description="the task id")
    correlationid: str
    sequence: int
    data: dict[str, Any]


class FeedOut(BaseModel):
    """`next`: the value of `after` for the following call; the given `after` if there is no new message."""

    events: list[MessageOut]
    next: int


def message_out(entry: FeedEntry) -> MessageOut:
    return MessageOut(
        id=entry.event_id,
        type=entry.wire_type,
        time=entry.at,
        subject=entry.task_id,
        correlationid=entry.correlation_id,
        sequence=entry.seq,
        data=msgspec.json.decode(entry.payload),
    )


class ProviderIn(Body):
    uscc: str = Field(max_length=40, pattern=ONE_LINE, description="unified social credit code (GB 32100)")
    name: str = Field(min_length=1, max_length=200, pattern=ONE_LINE)
    divisions: list[DivisionCode] = Field(min_length=1, max_length=500, description="areas served, with all below them")
    items: list[Item] = Field(default=sorted(VISIT_ITEMS), min_length=1, max_length=30)
    capacity_per_day: int = Field(ge=1, le=100_000)
    subscription: Subscription = Field(description="webhook: not delivered yet; the feed has the same messages")


class ProviderOut(BaseModel):
    uscc: str
    name: str
    divisions: list[str]
    items: list[str]
    capacity_per_day: int
    subscription: Subscription
    topic: str | None = Field(description="the topic of its offers; null unless it subscribes by Kafka")
    topic_state: Literal["none", "pending", "ready"] = Field(description="pending: offers wait until the topic exists")


class ProvidersOut(BaseModel):
    """`next`: the value of `after` for the following page; null on the last page."""

    providers: list[ProviderOut]
    next: str | None


def provider_out(entry: ProviderEntry) -> ProviderOut:
    topic = provider_topic(entry.uscc) if entry.subscription == "kafka" else None
    return ProviderOut.model_validate({**entry._asdict(), "topic": topic})


def providers_page(entries: Sequence[ProviderEntry], limit: int) -> ProvidersOut:
    providers = [provider_out(entry) for entry in entries]
    return ProvidersOut(providers=providers, next=providers[-1].uscc if len(providers) == limit else None)
