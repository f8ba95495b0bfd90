"""Whoever is entitled to an assessment and has no valid result gets a case; who no longer is loses it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from common.events import AssessmentCancelled, AssessmentRequested, EntitlementsDecided
from common.message import Message, derived_id
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx, origin_of

from assessment import store
from assessment.domain import ITEM, Ask, Case, Decided, Drop, Need, decide_case, digest, informed
from assessment.scale import scale_in_use

STEP_MAX: Final = 500
Causes = Mapping[str, Message[Any]]


async def on_entitlements_decided(messages: Sequence[Message[EntitlementsDecided]], tx: Tx) -> None:
    """Most decisions change nothing here: one statement finds those that do."""
    changed = await store.claim_heads(tx, [(m.data.person_id, m.data.version, digest(m.data)) for m in messages])
    if not changed:
        return
    causes = {m.data.person_id: m for m in messages if m.data.person_id in changed}
    known = await store.lock_needs(tx, causes)
    needs = [
        informed(known.get(person_id) or Need(person_id=person_id), message.data, message.correlation_id)
        for person_id, message in causes.items()
    ]
    await _decide(tx, needs, clock.today(), causes)


async def look_again(database: Database) -> int:
    """Job: entitlements that begin or end today, results about to run out."""
    today = clock.today()
    async with database.transaction() as tx:
        needs = await store.lock_due_needs(tx, today, STEP_MAX)
        if needs:
            await _decide(tx, needs, today, {})
    return len(needs)


async def _decide(tx: Tx, needs: Sequence[Need], today: date, causes: Causes) -> None:
    persons = sorted(need.person_id for need in needs)
    open_cases = await store.lock_open_cases(tx, persons)
    results = await store.results_of(tx.sql, persons)
    decided = [
        decide_case(need, open_cases.get(need.person_id), results.get(need.person_id, []), today, scale_in_use())
        for need in needs
    ]
    asked = [_asked(d, d.step) for d in decided if isinstance(d.step, Ask)]
    await store.upsert_needs(tx, [_counted(d) for d in decided])
    await _request(tx, asked, causes)
    await _cancel(tx, decided, open_cases, causes)


def _counted(decided: Decided) -> Need:
    asks = isinstance(decided.step, Ask)
    return msgspec.structs.replace(decided.need, cases=decided.need.cases + 1) if asks else decided.need


def _asked(decided: Decided, ask: Ask) -> tuple[Case, Ask]:
    need = decided.need
    case = Case(
        assessment_id=derived_id("assessment", need.person_id, need.cases + 1),
        person_id=need.person_id,
        state="requested",
        reason=ask.reason,
        division=need.division,
        correlation_id=need.correlation_id,
    )
    return case, ask


async def _request(tx: Tx, asked: Sequence[tuple[Case, Ask]], causes: Causes) -> None:
    if not asked:
        return
    fresh = await store.insert_cases(tx, [case for case, _ in asked], clock.now(), [ask.due_on for _, ask in asked])
    for case, ask in asked:
        if case.assessment_id in fresh:
            event = AssessmentRequested(
                person_id=case.person_id,
                assessment_id=case.assessment_id,
                reason=case.reason,
                item=ITEM,
                division=case.division,
                due_on=ask.due_on,
            )
            cause = origin_of(causes.get(case.person_id))
            origin = msgspec.structs.replace(cause, correlation_id=case.correlation_id)
            tx.emit(event, origin, division=case.division)


async def _cancel(tx: Tx, decided: Sequence[Decided], open_cases: Mapping[str, Case], causes: Causes) -> None:
    dropped = {open_cases[d.need.person_id]: d.step.reason for d in decided if isinstance(d.step, Drop)}
    if not dropped:
        return
    await store.cancel_cases(tx, {case.assessment_id: reason for case, reason in dropped.items()})
    for case, reason in dropped.items():
        event = AssessmentCancelled(person_id=case.person_id, assessment_id=case.assessment_id, reason=reason)
        tx.emit(event, causes.get(case.person_id) or case.correlation_id, division=case.division)
