"""HTTP bodies (`…In`) and answers (`…Out`) of the service."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from common.events.entitlement import GapReason
from pydantic import BaseModel, Field
from shell.http.params import LINES, Body

from supervision.domain.alerts import AlertState, Severity
from supervision.domain.unreached import Cause


class ReasonIn(Body):
    reason: str = Field(min_length=1, max_length=2000, pattern=LINES, description="without names, numbers or addresses")


class ClauseOut(BaseModel):
    """The source of an item in a list. `example`: no document gives it."""

    jurisdiction: str
    title: str
    issuer: str
    date: date
    locator: str
    status: Literal["documented", "example"]


class GapOut(BaseModel):
    """Months that nobody pays because the person moved and the lists of two areas do not meet."""

    item: str
    item_title: str
    old: str = Field(description="the area that paid until the move")
    new: str | None = Field(description="the area whose list decides about the item after the move")
    left: str = Field(description="the county left")
    moved_to: str
    moved_on: date
    first_month: str = Field(description="YYYY-MM")
    until_month: str | None = Field(description="the first month that is paid again; null: open")
    why: GapReason
    text: str
    old_clause: ClauseOut | None
    new_clause: ClauseOut | None = Field(
        description="null if no list of the new area had the item on the day of the move"
    )


class AlertOut(BaseModel):
    alert_id: UUID
    check: str = Field(description="the id of a check in contracts/checks.yaml, such as V01, visit_missed or move_gap")
    text: str = Field(description="the finding in Chinese")
    severity: Severity
    state: AlertState
    subject: UUID = Field(
        description="the task, recovery, parked record, gap, hold, stay, event, group, or the cause of audit rows"
    )
    person_id: UUID | None
    provider: str | None
    division: str | None
    other_division: str | None = Field(description="the second area of a case between two")
    correlation_id: UUID | None = Field(description="for /v1/trace/{event_id}")
    raised_at: datetime
    explain_by: datetime
    decide_by: datetime
    close_by: datetime
    overdue: bool = Field(description="the deadline of its next step has passed")
    explanation: str | None
    outcome: Literal["confirmed", "dismissed"] | None
    decision: str | None = Field(description="the officer's reason")
    closed_at: datetime | None
    gap: GapOut | None = Field(description="of a move_gap")


class AlertPageOut(BaseModel):
    alerts: list[AlertOut] = Field(description="newest first")
    next: UUID | None = Field(description="give it as `after` for the next page")


class OpenAlertsOut(BaseModel):
    open: int
    by_check: dict[str, int]


class StepOut(BaseModel):
    at: datetime = Field(description="business time of the event, UTC")
    service: str
    what: str = Field(description="the event, e.g. EntitlementsDecided")
    person_id: UUID | None
    event_id: UUID
    causation_id: UUID | None = Field(description="the event it followed from; none for the first step of a chain")


class TraceOut(BaseModel):
    steps: list[StepOut] = Field(description="oldest first, no effect before its cause")


class PersonStepOut(StepOut):
    changes: list[UUID] = Field(description="the pushed changes that led to it, for /v1/trace/{event_id}; at most 128")


class PersonStepsOut(BaseModel):
    steps: list[PersonStepOut] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page")


class UnreachedOut(BaseModel):
    person_id: UUID
    division: str | None
    cause: Cause
    task_id: UUID | None
    provider: str | None


class UnreachedPageOut(BaseModel):
    month: str
    unreached: list[UnreachedOut]
    next: UUID | None = Field(description="give it as `after` for the next page")


class ByClassOut(BaseModel):
    longevity_allowance: int | None
    nursing_subsidy: int | None
    care_service_subsidy: int | None
    combined: int | None = Field(description="people with several of the three")


class StatisticsOut(BaseModel):
    """The count of each county is rounded to a multiple of the threshold, and a figure is the sum over the counties.
    Null: every county has fewer people than the threshold, perhaps nobody; or the division is part of a county."""

    division: str
    on: date
    month: str = Field(description="the month of the figures; all days of a month have the same figures")
    subsidised_total: int | None = Field(
        description="people with a subsidy in state due for the month; the classes add up to it"
    )
    by_class: ByClassOut
    visit_rate_month: float | None = Field(
        description="people visited / people with visiting care in the month, in whole per cent (0.42)"
    )
    assessed_by_level: dict[str, int | None] = Field(
        description="people by ability level 0 (intact) … 4, on the last day of the month, or today before that"
    )
