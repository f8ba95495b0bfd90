"""The bodies and answers of the correction routes."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field
from shell.http.params import Body, Id, Reason


class CorrectionIn(Body):
    """`event_id`: an accepted, waiting or rejected event. `code`, `pointer`: the doubt about an accepted event; ignored
    for a waiting or rejected event, whose fault is known. `reason`: free text for the source; no topic carries it."""

    event_id: Id
    code: Literal["doubted", "contradicted", "outdated"] = "doubted"
    pointer: str = Field(default="/data/value", max_length=200, pattern="^(/[A-Za-z0-9_]+)*$")
    reason: Reason


class WithdrawalIn(Body):
    reason: Reason


class CorrectionOut(BaseModel):
    """`id`: the source's own id of the event, shown to the source only; null if no id could be read in a rejected
    event. `kind`: null for a rejected event. `answered_by`: the event that answered; null without an answer."""

    correction_id: str
    source: str
    event_id: str
    id: str | None = None
    kind: str | None
    code: str
    code_text: str
    pointer: str
    reason: str
    rule: str
    asked_at: datetime
    deadline: datetime
    state: Literal["open", "answered", "withdrawn"]
    answered_at: datetime | None
    answered_by: str | None


class CorrectionPageOut(BaseModel):
    corrections: list[CorrectionOut]
    next: str | None
