"""The shapes in which callers see tasks and messages."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from dispatch.domain.task import State, Task


class WindowOut(BaseModel):
    """[from, to), civil dates."""

    model_config = ConfigDict(populate_by_name=True)
    from_: date = Field(alias="from")
    to: date


class TaskOut(BaseModel):
    task_id: str
    person_id: str = Field(description="a surrogate; name and address only through `contact`")
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
    cause: str | None = Field(description="why nobody could be asked, or why it ended")
    entitlement_id: str
    accept_by: datetime | None
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    worker: str | None
    outcome: str | None
    origin_task_id: str | None


class TasksOut(BaseModel):
    """`next` goes into `after` for the following page; null on the last."""

    tasks: list[TaskOut]
    next: str | None


def task_out(task: Task, verdict: str | None = None) -> TaskOut:
    return _out({**msgspec.structs.asdict(task), "verdict": verdict})


def _out(row: Any) -> TaskOut:
    fields = {name: row[name] for name in TaskOut.model_fields if name != "window"}
    window = WindowOut.model_validate({"from": row["window_from"], "to": row["window_to"]})
    return TaskOut(**fields, window=window)


def tasks_page(rows: list[Any], limit: int) -> TasksOut:
    return TasksOut(tasks=[_out(row) for row in rows], next=rows[-1]["task_id"] if len(rows) == limit else None)


class MessageOut(BaseModel):
    """A CloudEvent as on `dispatch.provider.<uscc>`; `sequence` counts the provider's messages without gaps."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: Literal["urn:shouwang:dispatch"] = "urn:shouwang:dispatch"
    type: str
    time: datetime
    subject: str = Field(description="the task")
    correlationid: str
    sequence: int
    data: dict[str, Any]


class FeedOut(BaseModel):
    """`next` goes into `after`; it is the given `after` when there is nothing new."""

    events: list[MessageOut]
    next: int


def message_out(row: Any) -> MessageOut:
    return MessageOut(
        id=row["event_id"],
        type=row["wire_type"],
        time=row["at"],
        subject=row["task_id"],
        correlationid=row["correlation_id"],
        sequence=row["seq"],
        data=msgspec.json.decode(row["payload"]),
    )
