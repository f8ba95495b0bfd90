"""An assessor submits a form. It is checked item by item, scored and stored. It counts after a second person signs."""

import hashlib
import re
from datetime import date
from typing import Annotated, Final

import msgspec
from common.errors import Conflict, Malformed, NotFound, Problem
from common.message import derived_id
from fastapi import APIRouter, Depends, Response
from rules.scales.ability_scale import Findings, RiskEvent, Scored, assess
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import Areas, scope_of
from shell.audit import audits
from shell.http.idempotency import Creates
from shell.service import Db
from shell.store.transaction import Tx

from assessment import store
from assessment.domain import Case, Need, Reason
from assessment.scale import scale_in_use
from assessment.shapes import AssessmentOut, FormIn, assessment_out, problems
from assessment.store import Scoring, StoredCase

router = APIRouter(tags=["assessments"])
_ASSESSOR: Final = re.compile(r"(?!\d{15,18}[0-9Xx]?$)[A-Za-z0-9_.:-]{1,64}")  # a pseudonymous id, never an ID number


@router.post("/v1/assessments", status_code=201, responses={200: {"description": "the same form was stored before"}})
async def submit_assessment(
    body: FormIn,
    db: Db,
    caller: Annotated[Caller, Depends(require("assessor"))],
    creation: Creates,
    response: Response,
) -> AssessmentOut:
    """Score a form and store it; another person must sign it. It replaces an earlier form that is not signed.

    The same form, or the same `Idempotency-Key`, changes nothing when it is sent again, even if a later form has
    replaced this form. The answer shows the assessment as it is now.
    """
    scoring = _scoring(body, caller)
    async with db.transaction() as tx:
        if not await store.lock_person(tx, body.person_id):
            raise NotFound("no such person in assessment")
        made_before = await creation.claim(tx, caller, body)
        needs = await store.lock_needs(tx, [body.person_id])
        known = await _known(tx, body.person_id, made_before, scoring)
        if known is not None:
            caller.need_area(known.case.division)
            response.status_code = 200
            filled = known
        else:
            case = await _open_case(tx, body, needs.get(body.person_id), caller)
            filled = await store.fill_case(tx, case.assessment_id, scoring, clock.now())
        case_id = filled.case.assessment_id
        await creation.created(tx, caller, case_id)
        await audits.append(tx, caller, act="submit", purpose="assessment", cause=case_id, person_ids=[body.person_id])
    return assessment_out(filled)


async def _known(tx: Tx, person_id: str, made_before: str | None, scoring: Scoring) -> StoredCase | None:
    """Find the case of an earlier request with the same key, or the case for which this form was stored before."""
    if made_before is not None:
        return await store.load_case(tx.sql, made_before)
    return await store.find_by_form(tx, person_id, scoring.form_digest)


def _scoring(body: FormIn, caller: Caller) -> Scoring:
    """The scored form. Raises Malformed with a pointer to each fault."""
    scored = _scored(body)
    scale = scale_in_use()
    form = body.model_dump_json(exclude={"person_id", "reason"}).encode()
    return Scoring(
        scale=scale.scale,
        scale_version=scale.version,
        form=form,
        form_digest=hashlib.blake2b(form, digest_size=16).digest(),
        assessed_on=body.assessed_on,
        total=scored.total,
        level=scored.level,
        changed_by=",".join(scored.changed_by) or None,
        submitted_by=caller.user,
    )


def _scored(body: FormIn) -> Scored:
    """Score the items and findings of a form. Raises Malformed with a pointer to each fault."""
    events = tuple(RiskEvent(event.kind, event.on) for event in body.risk_events)
    findings = Findings(body.assessed_on, body.coma, tuple(body.diagnoses), events)
    scored = assess(body.items, findings, scale_in_use())
    faults = _form_faults(body)
    if isinstance(scored, list):
        raise Malformed("the form cannot be scored", problems=faults + problems(scored))
    if faults:
        raise Malformed("the form cannot be scored", problems=faults)
    return scored


def _form_faults(body: FormIn) -> list[Problem]:
    """Return the faults of a form that the scale does not check: of its day and its assessors."""
    found = []
    if body.assessed_on > clock.today():
        found.append(Problem(pointer="/body/assessed_on", code="in_the_future", detail="the day is in the future"))
    if len(set(body.assessors)) < 2:
        found.append(Problem(pointer="/body/assessors", code="not_two", detail="two different persons must assess"))
    for i, assessor in enumerate(body.assessors):
        if not _ASSESSOR.fullmatch(assessor):
            found.append(Problem(pointer=f"/body/assessors/{i}", code="not_an_id", detail="not a pseudonymous id"))
    return found


async def _open_case(tx: Tx, body: FormIn, need: Need | None, caller: Caller) -> Case:
    """Return the open case of the person, or a new one for this form.

    Raises Conflict for a merged person and for a day after the death, and NotAllowed outside the caller's area.
    """
    person_id = body.person_id
    if need is not None and _is_gone(need, body.assessed_on):
        raise Conflict("the person has died or was merged into another", code="person_gone")
    case = (await store.lock_open_cases(tx, [person_id])).get(person_id)
    if case is None:
        need = need or Need(person_id=person_id, correlation_id=derived_id("assessed", person_id))
        case = _case_of(need, body.reason or "other", caller)
        await store.upsert_needs(tx, [msgspec.structs.replace(need, cases=need.cases + 1)])
        await store.insert_cases(tx, [case], clock.now(), [None])
    caller.need_area(case.division)
    return case


def _is_gone(need: Need, day: date) -> bool:
    return need.merged or (need.died_on is not None and day > need.died_on)


def _case_of(need: Need, reason: Reason, caller: Caller) -> Case:
    assessment_id = derived_id("assessment", need.person_id, need.cases + 1)
    return Case(
        assessment_id=assessment_id,
        person_id=need.person_id,
        state="requested",
        reason=reason,
        division=need.division or _area_of(caller),
        correlation_id=assessment_id,
    )


def _area_of(caller: Caller) -> str | None:
    """The assessor's area, for a person without a known area. None for a caller without an area."""
    scope = scope_of(caller)
    return scope.division if isinstance(scope, Areas) else None
