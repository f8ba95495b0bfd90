"""Officers, approvers, assessors and auditors read assessments."""

from datetime import date
from typing import Annotated
from uuid import UUID

from common.errors import NotFound
from common.events import Ability
from fastapi import APIRouter, Depends
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Day, Instant
from shell.service import Db

from assessment import store
from assessment.domain import abilities
from assessment.shapes import AssessmentOut, PersonAssessmentsOut, assessment_out, in_force_out

router = APIRouter(tags=["assessments"])
Reader = Annotated[Caller, Depends(require("assessor", "officer", "approver", "auditor"))]


@router.get("/v1/assessments/{assessment_id}")
async def show_assessment(assessment_id: UUID, db: Db, caller: Reader) -> AssessmentOut:
    """One assessment with its form. An assessment outside the caller's area is not found."""
    key = str(assessment_id)
    async with db.transaction() as tx:
        stored = await store.load_case(tx.sql, key)
        if stored is None or not caller.may_see(stored.case.division):
            raise NotFound("no such assessment")
        await audits.append(tx, caller, act="read", purpose="assessment", cause=key, person_ids=[stored.case.person_id])
    return assessment_out(stored)


@router.get("/v1/persons/{person_id}/assessments")
async def list_assessments(
    person_id: UUID,
    db: Db,
    caller: Reader,
    on: Day | None = None,
    known_at: Instant | None = None,
    limit: Limit = 200,
    after: UUID | None = None,
) -> PersonAssessmentsOut:
    """A person's results with their periods, and a page of the assessments. `on`: only the result in force on that
    day. `known_at`: the results recorded up to then, and the assessments as they were known then."""
    key = str(person_id)
    async with db.transaction() as tx:
        need = await store.load_need(tx.sql, key)
        if need is None or not caller.may_see(need.division):
            raise NotFound("no such person in assessment")
        results = await store.list_results(tx.sql, key, known_at)
        cases = await store.page_cases(tx.sql, key, known_at=known_at, after=str(after) if after else None, limit=limit)
        await audits.append(tx, caller, act="read", purpose="assessments", person_ids=[key])
    in_force = [ability for ability in abilities(results) if on is None or _in_force(ability, on)]
    return PersonAssessmentsOut(
        person_id=key,
        results=[in_force_out(ability) for ability in in_force],
        assessments=[assessment_out(stored, form=False) for stored in cases],
        next=cases[-1].case.assessment_id if len(cases) == limit else None,
    )


def _in_force(ability: Ability, day: date) -> bool:
    return ability.valid_from <= day and (ability.valid_to is None or day < ability.valid_to)
