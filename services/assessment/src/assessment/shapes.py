"""HTTP bodies and answers about assessments."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from common.errors import Problem
from common.events import Ability
from pydantic import BaseModel, Field
from rules.scales.ability_scale import Fault
from shell.http.params import ONE_LINE, Body, Day, UuidText

from assessment.domain import CaseState, Reason
from assessment.store import Scoring, StoredCase

Word = Annotated[str, Field(max_length=100, pattern=ONE_LINE)]


class RiskEventIn(Body):
    kind: Literal["fall", "lost", "choking", "self_harm", "other"]
    on: Day


class FormIn(Body):
    """A filled-in form. `items`: points by item code, for all 26 items unless the person is in a coma."""

    person_id: UuidText
    assessed_on: Day
    assessors: list[Word] = Field(min_length=2, max_length=2, description="pseudonymous ids of the two assessors")
    items: dict[Word, Annotated[int, Field(ge=-1_000, le=1_000)]] = Field(default_factory=dict, max_length=60)
    coma: bool = False
    diagnoses: list[Word] = Field(default_factory=list, max_length=20, description="ICD-10 codes F00–F99")
    risk_events: list[RiskEventIn] = Field(default_factory=list, max_length=100)
    reason: Literal["incident", "dispute", "other"] | None = Field(
        default=None, description="the reason of an assessment without a request"
    )


class AssessmentOut(BaseModel):
    """`total`: null without a form, and in a coma if items are missing. `changed_by`: codes of findings that make a
    level worse, also if the total alone gives the worst level."""

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
    form: dict[str, Any] | None = Field(description="items, assessors and findings; null in lists")


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
    assessments: list[AssessmentOut] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page of assessments")


def assessment_out(stored: StoredCase, *, form: bool = True) -> AssessmentOut:
    fields = {**dict.fromkeys(Scoring._fields), **stored._asdict(), **msgspec.structs.asdict(stored.case)}
    if stored.scoring is not None:
        fields |= stored.scoring._asdict()
    fields["changed_by"] = list(filter(None, (fields["changed_by"] or "").split(",")))
    fields["form"] = msgspec.json.decode(fields["form"]) if form and fields["form"] else None
    return AssessmentOut.model_validate(fields)


def in_force_out(ability: Ability) -> InForceOut:
    return InForceOut.model_validate(msgspec.structs.asdict(ability))


def problems(faults: list[Fault]) -> list[Problem]:
    return [Problem(pointer=f"/body{f.pointer}", code=f.code, detail=f.detail) for f in faults]
