"""Request an assessment (open a case) for a person who is entitled and has no result, or one that ends soon.

A death or a merge cancels the case. The end of the entitlement cancels it, except a case that a form opened without a
request. A move cancels it until a form is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from common.events import AssessmentCancelled, AssessmentRequested, EntitlementsDecided
from common.message import Message, derived_id
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Origin, Tx, origin_of

from assessment import store
from assessment.domain import (
    ITEM,
    Cancel,
    Case,
    Decided,
    Need,
    Request,
    assessment_digest,
    decide_case,
    with_decision,
)
from assessment.scale import scale_in_use

STEP_MAX: Final = 500
Causes = Mapping[str, Message[Any]]


class _NewCase(NamedTuple):
    case: Case
    due_on: date


async def on_entitlements_decided(messages: Sequence[Message[EntitlementsDecided]], tx: Tx) -> None:
    """Decide again about the assessments of persons whose decision changed in a part that concerns assessment.

    One statement finds these persons.
    """
    changed = await store.claim_heads(tx, [_head(message.data) for message in messages])
    if not changed:
        return
    causes = {m.data.person_id: m for m in messages if m.data.person_id in changed}
    known = await store.lock_needs(tx, causes)
    needs = [_newest_need(known.get(person_id), message) for person_id, message in causes.items()]
    await _decide(tx, needs, clock.today(), causes)


def _head(decided: EntitlementsDecided) -> store.Head:
    return store.Head(decided.person_id, decided.version, assessment_digest(decided))


def _newest_need(need: Need | None, message: Message[EntitlementsDecided]) -> Need:
    need = need or Need(person_id=message.data.person_id)
    return with_decision(need, message.data, message.correlation_id)


async def look_again(database: Database) -> int:
    """Job: decide the needs whose day of action has come: an entitlement begins or ends, or a result expires soon.

    A signature and a move set this day to the present day. Returns the number of needs, at most STEP_MAX.
    """
    today = clock.today()
    async with database.transaction() as tx:
        needs = await store.lock_due_needs(tx, today, STEP_MAX)
        if needs:
            await _decide(tx, needs, today, {})
    return len(needs)


async def _decide(tx: Tx, needs: Sequence[Need], today: date, causes: Causes) -> None:
    person_ids = sorted(need.person_id for need in needs)
    open_cases = await store.lock_open_cases(tx, person_ids)
    results = await store.load_results(tx.sql, person_ids)
    decided = []
    for need in needs:
        case, signed = open_cases.get(need.person_id), results.get(need.person_id, [])
        decided.append(decide_case(need, case, signed, today, scale_in_use()))
    await store.upsert_needs(tx, [_need_after(d) for d in decided])
    await _request(tx, [_new_case(d.need, d.step) for d in decided if isinstance(d.step, Request)], causes)
    await _cancel(tx, decided, open_cases, causes)


def _need_after(decided: Decided) -> Need:
    """Return the need after a step. A new case is counted."""
    if not isinstance(decided.step, Request):
        return decided.need
    return msgspec.structs.replace(decided.need, cases=decided.need.cases + 1)


def _new_case(need: Need, request: Request) -> _NewCase:
    case = Case(
        assessment_id=derived_id("assessment", need.person_id, need.cases + 1),
        person_id=need.person_id,
        state="requested",
        reason=request.reason,
        division=need.division,
        correlation_id=need.correlation_id,
    )
    return _NewCase(case, request.due_on)


async def _request(tx: Tx, new: Sequence[_NewCase], causes: Causes) -> None:
    if not new:
        return
    cases = [one.case for one in new]
    inserted = await store.insert_cases(tx, cases, clock.now(), [one.due_on for one in new])
    for case, due_on in new:
        if case.assessment_id in inserted:
            tx.emit(_requested(case, due_on), _origin(case, causes), division=case.division)


def _origin(case: Case, causes: Causes) -> Origin:
    """Return the origin of the event about a new case. It has the correlation id of the case, also if another change
    led to the request."""
    origin = origin_of(causes.get(case.person_id))
    return msgspec.structs.replace(origin, correlation_id=case.correlation_id)


def _requested(case: Case, due_on: date) -> AssessmentRequested:
    return AssessmentRequested(
        person_id=case.person_id,
        assessment_id=case.assessment_id,
        reason=case.reason,
        item=ITEM,
        division=case.division,
        due_on=due_on,
    )


async def _cancel(tx: Tx, decided: Sequence[Decided], open_cases: Mapping[str, Case], causes: Causes) -> None:
    reasons = {d.need.person_id: d.step.reason for d in decided if isinstance(d.step, Cancel)}
    if not reasons:
        return
    by_case = {open_cases[person_id].assessment_id: why for person_id, why in reasons.items()}
    await store.cancel_cases(tx, by_case, clock.now())
    for person_id, reason in reasons.items():
        case = open_cases[person_id]
        event = AssessmentCancelled(person_id=person_id, assessment_id=case.assessment_id, reason=reason)
        tx.emit(event, causes.get(person_id) or case.correlation_id, division=case.division)
