"""A second person signs, and the result takes effect: all results of the person with their periods go out."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from common.errors import Conflict, NotAllowed, NotFound
from common.events import AbilitiesDetermined, AssessmentSigned
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.service import Db
from shell.store.transaction import Tx

from assessment import store
from assessment.domain import Need, Result, abilities, valid_until
from assessment.scale import scale_in_use
from assessment.views import AssessmentOut, assessment_out

router = APIRouter(tags=["assessments"])
COMA_TOTAL: Final = 0


@router.post("/v1/assessments/{assessment_id}/sign")
async def sign_assessment(
    assessment_id: UUID, db: Db, caller: Annotated[Caller, Depends(require("assessor", "approver"))]
) -> AssessmentOut:
    """Sign a scored assessment. Whoever submitted it may not; signing again changes nothing."""
    async with db.transaction() as tx:
        row = await store.lock_case(tx, str(assessment_id))
        if row is None:
            raise NotFound("no such assessment")
        caller.need_area(row["division"])
        if row["state"] == "signed" and row["signed_by"] == caller.subject:
            return assessment_out(row)
        if row["state"] != "scored":
            raise Conflict("only a scored assessment is signed", code=f"assessment_is_{row['state']}")
        if row["submitted_by"] == caller.subject:
            raise NotAllowed("a second person signs", code="same_person")
        row = await store.sign_case(tx, str(assessment_id), caller.subject, clock.now())
        await _take_effect(tx, row)
    return assessment_out(row)


async def _take_effect(tx: Tx, row: Any) -> None:
    person_id, now = row["person_id"], clock.now()
    result = Result(
        row["assessment_id"],
        row["scale"],
        row["scale_version"],
        row["level"],
        row["assessed_on"],
        valid_until(row["assessed_on"], scale_in_use()),
        now,
    )
    await store.append_result(tx, person_id, result)
    results = (await store.results_of(tx.sql, [person_id]))[person_id]
    need: Need = (await store.lock_needs(tx, [person_id]))[person_id]
    # the clock decides at its next look when this person is due again
    need = msgspec.structs.replace(need, ability_version=need.ability_version + 1, act_on=clock.today())
    await store.upsert_needs(tx, [need])
    correlation = row["correlation_id"]
    signed = AssessmentSigned(
        person_id=person_id,
        assessment_id=row["assessment_id"],
        scale=row["scale"],
        scale_version=row["scale_version"],
        total=COMA_TOTAL if row["total"] is None else row["total"],
        level=row["level"],
        assessed_on=row["assessed_on"],
    )
    tx.emit(signed, correlation, division=row["division"])
    determined = AbilitiesDetermined(
        person_id=person_id, version=need.ability_version, recorded_at=now, abilities=abilities(results)
    )
    tx.emit(determined, correlation, division=row["division"])
