"""An alert as callers see it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from supervision.checks import checks
from supervision.domain.alerts import AlertState, Severity


class AlertShown(BaseModel):
    alert_id: UUID
    check: str = Field(description="V01 … V17, visit_missed, recovery_opened, record_parked, policy_halted")
    text: str = Field(description="what was found, in Chinese")
    severity: Severity
    state: AlertState
    subject: UUID = Field(description="the task, recovery or parked record")
    person_id: UUID | None
    provider: str | None
    division: str | None
    correlation_id: UUID | None = Field(description="for /v1/trace/{event_id}")
    raised_at: datetime
    explain_by: datetime
    decide_by: datetime
    close_by: datetime
    overdue: bool = Field(description="the deadline of its present state has passed")
    explanation: str | None
    outcome: Literal["confirmed", "dismissed"] | None
    decision: str | None = Field(description="the officer's reason")
    closed_at: datetime | None


def show(row: Any, now: datetime) -> dict[str, object]:
    deadline = {"raised": "explain_by", "explained": "decide_by", "confirmed": "close_by", "dismissed": "close_by"}
    name = deadline.get(row["state"])
    return {
        **{field: row[field] for field in AlertShown.model_fields if field not in ("check", "text", "overdue")},
        "check": row["check_id"],
        "text": checks().named(row["check_id"]).text,
        "overdue": name is not None and row[name] < now,
    }
