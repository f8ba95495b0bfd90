"""Assessments as officers and assessors see them."""

from typing import Annotated
from uuid import UUID

from common.errors import NotFound
from fastapi import APIRouter, Depends
from shell.access.auth import Caller, require
from shell.http.params import Day, Instant
from shell.service import Db

from assessment import store
from assessment.domain import abilities
from assessment.views import AssessmentOut, InForceOut, PersonAssessmentsOut, assessment_out

router = APIRouter(tags=["assessments"])
Reader = Annotated[Caller, Depends(require("assessor", "officer", "approver", "auditor"))]
CASES_MAX = 200


@router.get("/v1/assessments/{assessment_id}")
async def show_assessment(assessment_id: UUID, db: Db, caller: Reader) -> AssessmentOut:
    """One assessment with its form. What lies outside the caller's area is not there."""
    async with db.reading() as connection:
        row = await store.show_case(connection, str(assessment_id))
    if row is None or not caller.may_see(row["division"]):
        raise NotFound("no such assessment")
    return assessment_out(row)


@router.get("/v1/persons/{person_id}/assessments")
async def list_assessments(
    person_id: UUID, db: Db, caller: Reader, on: Day | None = None, known_at: Instant | None = None
) -> PersonAssessmentsOut:
    """A person's results with their periods (`on`: in force that day; `known_at`: as known then) and all cases."""
    async with db.reading() as connection:
        need = await store.show_need(connection, str(person_id))
        if need is None or not caller.may_see(need.division):
            raise NotFound("nothing is known of this person here")
        results = await store.list_results(connection, str(person_id), known_at)
        cases = await store.list_cases(connection, str(person_id), CASES_MAX)
    in_force = [
        InForceOut(
            assessment_id=a.assessment_id,
            scale=a.scale,
            scale_version=a.scale_version,
            level=a.level,
            valid_from=a.valid_from,
            valid_to=a.valid_to,
            recorded_at=a.recorded_at,
        )
        for a in abilities(results)
        if on is None or (a.valid_from <= on and (a.valid_to is None or on < a.valid_to))
    ]
    shown = [assessment_out(row, form=False) for row in cases if known_at is None or row["requested_at"] <= known_at]
    return PersonAssessmentsOut(person_id=str(person_id), results=in_force, assessments=shown)
