"""What callers see of assessments."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from common.errors import Problem
from pydantic import BaseModel, Field
from rules.scales.ability_scale import Fault
from shell.http.params import ONE_LINE, Body, Day, UuidText

from assessment.domain import CaseState, Reason

Word = Annotated[str, Field(max_length=100, pattern=ONE_LINE)]


class RiskEventIn(Body):
    kind: Literal["fall", "lost", "choking", "self_harm", "other"]
    on: Day


class FormIn(Body):
    """A filled-in form. `items`: points by item code, all 26 unless the person is in a coma."""

    person_id: UuidText
    assessed_on: Day
    assessors: list[Word] = Field(
        min_length=2, max_length=2, description="the two who were there, by their pseudonymous ids"
    )
    items: dict[Word, Annotated[int, Field(ge=-1_000, le=1_000)]] = Field(default_factory=dict, max_length=60)
    coma: bool = False
    diagnoses: list[Word] = Field(default_factory=list, max_length=20, description="ICD-10 codes F00–F99")
    risk_events: list[RiskEventIn] = Field(default_factory=list, max_length=100)
    reason: Literal["incident", "dispute", "other"] | None = Field(
        default=None, description="why, when no case asked for it"
    )


class AssessmentOut(BaseModel):
    """`total` is null where a coma made scoring needless. `changed_by`: what made the level worse than the total."""

    assessment_id: str
    person_id: str
    state: CaseState
    reason: Reason
    division: str | None
    requested_at: datetime
    due_on: date | None
    scale: str | None
    scale_version: str | None
    assessed_on: date | None
    total: int | None
    level: int | None
    changed_by: list[str]
    submitted_by: str | None
    signed_by: str | None
    signed_at: datetime | None
    cancelled_for: str | None
    form: dict[str, Any] | None = Field(description="items, assessors and findings; only on the assessment itself")


class InForceOut(BaseModel):
    """A signed result over [valid_from, valid_to)."""

    assessment_id: str
    scale: str
    scale_version: str
    level: int
    valid_from: date
    valid_to: date | None
    recorded_at: datetime


class PersonAssessmentsOut(BaseModel):
    person_id: str
    results: list[InForceOut]
    assessments: list[AssessmentOut]


def assessment_out(row: Any, *, form: bool = True) -> AssessmentOut:
    fields = {name: row[name] for name in AssessmentOut.model_fields if name not in ("changed_by", "form")}
    shown = msgspec.json.decode(row["form"]) if form and row["form"] else None
    return AssessmentOut(**fields, changed_by=[w for w in (row["changed_by"] or "").split(",") if w], form=shown)


def problems(faults: list[Fault]) -> list[Problem]:
    return [Problem(pointer=f"/body{f.pointer}", code=f.code, detail=f.detail) for f in faults]
