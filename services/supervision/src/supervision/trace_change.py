"""Show the chain of one pushed change (all events that follow from it), and the steps of one person."""

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

from common.errors import BadRequest
from fastapi import APIRouter
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.service import Db

from supervision.callers import Reader
from supervision.domain.trace import in_order
from supervision.shapes import PersonStepOut, PersonStepsOut, StepOut, TraceOut
from supervision.store import steps as store
from supervision.store.steps import StepKey

router = APIRouter(tags=["trace"])


@router.get("/v1/trace/{event_id}")
async def trace_change(event_id: UUID, caller: Reader, db: Db) -> TraceOut:
    """The steps that one pushed change led to, also in the chains of changes with which it was combined. Of each chain
    only the oldest 2,000 steps are read. Steps are kept for 90 days. Steps about people outside the caller's area are
    left out. An unknown change has no steps."""
    async with db.transaction() as tx:
        steps = await store.load_chain(tx.sql, str(event_id))
        areas = await store.load_areas(tx.sql, sorted({s.person_id for s in steps if s.person_id}))
        allowed = [s for s in steps if s.person_id is None or caller.may_see(areas.get(s.person_id))]
        people = sorted({s.person_id for s in allowed if s.person_id})
        await audits.append(tx, caller, act="read", purpose="trace", cause=str(event_id), person_ids=people)
    return TraceOut(steps=[StepOut(**asdict(step)) for step in in_order(allowed)])


@router.get("/v1/persons/{person_id}/steps")
async def list_person_steps(
    person_id: UUID, caller: Reader, db: Db, limit: Limit = 100, after: Cursor | None = None
) -> PersonStepsOut:
    """The steps of one person in the caller's area, newest first."""
    key = str(person_id)
    async with db.transaction() as tx:
        caller.need_area((await store.load_areas(tx.sql, [key])).get(key))
        page = await store.load_person_steps(tx.sql, key, limit=limit, before=_cursor(after))
        await audits.append(tx, caller, act="read", purpose="steps", person_ids=[key])
    steps = [PersonStepOut(**asdict(found.step), changes=[UUID(id_) for id_ in found.changes]) for found in page]
    return PersonStepsOut(steps=steps, next=_cursor_text(steps[-1]) if len(steps) == limit else None)


def _cursor_text(step: StepOut) -> str:
    return f"{step.at.astimezone(UTC).isoformat()}~{step.event_id}"


def _cursor(after: str | None) -> StepKey | None:
    if after is None:
        return None
    at, _, event_id = after.replace(" ", "+").partition("~")
    try:
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None or not 2000 <= instant.year <= 2099:
            raise ValueError("not the instant of a step")
        return StepKey(instant, str(UUID(event_id)))
    except ValueError as error:
        raise BadRequest("`after` is not a cursor of this list") from error
