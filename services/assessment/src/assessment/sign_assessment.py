"""A second person signs an assessment. Then it takes effect: all results of the person are emitted with their
periods."""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from common.errors import Conflict, NotAllowed, NotFound
from common.events import AbilitiesDetermined, AssessmentSigned
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require_fresh
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from assessment import store
from assessment.domain import Case, Result, abilities, valid_until
from assessment.scale import scale_in_use
from assessment.shapes import AssessmentOut, assessment_out
from assessment.store import Scoring, StoredCase

router = APIRouter(tags=["assessments"])
COMA_TOTAL: Final = 0


@router.post("/v1/assessments/{assessment_id}/sign")
async def sign_assessment(
    assessment_id: UUID, db: Db, caller: Annotated[Caller, Depends(require_fresh("assessor", "approver", "admin"))]
) -> AssessmentOut:
    """Sign a scored assessment. The person who submitted it may not sign. The person who signed can send the signature
    again; it changes nothing. If another person has signed, the answer is 409."""
    async with db.transaction() as tx:
        stored = await store.lock_case(tx, str(assessment_id))
        if stored is None:
            raise NotFound("no such assessment")
        caller.need_area(stored.case.division)
        if stored.case.state == "signed" and stored.signed_by == caller.user:
            return assessment_out(stored)
        scoring = _signable(stored, caller)
        await audits.append(
            tx,
            caller,
            act="approve",
            purpose="assessment",
            cause=str(assessment_id),
            person_ids=[stored.case.person_id],
        )
        signed = await store.sign_case(tx, str(assessment_id), caller.user, clock.now())
        await _take_effect(tx, signed.case, scoring)
    return assessment_out(signed)


def _signable(stored: StoredCase, caller: Caller) -> Scoring:
    """Return the scored form to sign. Raises Conflict without one, and NotAllowed for the person who submitted it."""
    if stored.case.state != "scored" or stored.scoring is None:
        raise Conflict("only a scored assessment can be signed", code=f"assessment_is_{stored.case.state}")
    if stored.scoring.submitted_by == caller.user:
        raise NotAllowed("a second person must sign", code="same_person")
    return stored.scoring


async def _take_effect(tx: Tx, case: Case, scoring: Scoring) -> None:
    now = clock.now()
    await store.append_result(tx, case.person_id, _result(case, scoring, now))
    version = await _next_version(tx, case.person_id, clock.today())
    results = await store.load_results(tx.sql, [case.person_id])
    determined = AbilitiesDetermined(
        person_id=case.person_id, version=version, recorded_at=now, abilities=abilities(results[case.person_id])
    )
    tx.emit(_signed(case, scoring), case.correlation_id, division=case.division)
    tx.emit(determined, case.correlation_id, division=case.division)


async def _next_version(tx: Tx, person_id: str, today: date) -> int:
    """Count and return the version of the next AbilitiesDetermined. The need becomes due today, so that the job
    decides the next assessment."""
    need = (await store.lock_needs(tx, [person_id]))[person_id]
    need = msgspec.structs.replace(need, ability_version=need.ability_version + 1, act_on=today)
    await store.upsert_needs(tx, [need])
    return need.ability_version


def _result(case: Case, scoring: Scoring, recorded_at: datetime) -> Result:
    return Result(
        assessment_id=case.assessment_id,
        scale=scoring.scale,
        scale_version=scoring.scale_version,
        level=scoring.level,
        valid_from=scoring.assessed_on,
        valid_until=valid_until(scoring.assessed_on, scale_in_use()),
        recorded_at=recorded_at,
    )


def _signed(case: Case, scoring: Scoring) -> AssessmentSigned:
    return AssessmentSigned(
        person_id=case.person_id,
        assessment_id=case.assessment_id,
        scale=scoring.scale,
        scale_version=scoring.scale_version,
        total=COMA_TOTAL if scoring.total is None else scoring.total,
        level=scoring.level,
        assessed_on=scoring.assessed_on,
    )
