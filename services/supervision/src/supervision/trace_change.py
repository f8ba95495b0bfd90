"""The chain of one pushed change, and the steps of one person."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from common.errors import BadRequest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.service import Db

from supervision.domain.trace import Step, in_order
from supervision.store import steps as store

router = APIRouter(tags=["trace"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]


class StepShown(BaseModel):
    at: datetime = Field(description="business time at which the event was said, UTC")
    service: str
    what: str = Field(description="the event, e.g. EntitlementsDecided")
    person_id: UUID | None
    event_id: UUID
    causation_id: UUID | None = Field(description="the event it followed from; none for the first step of a chain")


class Trace(BaseModel):
    steps: list[StepShown] = Field(description="oldest first, no effect before its cause")


class PersonStep(StepShown):
    changes: list[UUID] = Field(description="the pushed changes it goes back to, for /v1/trace/{event_id}; at most 128")


class PersonSteps(BaseModel):
    steps: list[PersonStep] = Field(description="newest first")
    next: str | None = Field(description="give it as `after` for the next page")


def _shown(step: Step) -> dict[str, object]:
    return {
        "at": step.at,
        "service": step.service,
        "what": step.what,
        "person_id": step.person_id,
        "event_id": step.event_id,
        "causation_id": step.causation_id,
    }


@router.get("/v1/trace/{event_id}", response_model=Trace)
async def trace_change(event_id: UUID, caller: Reader, db: Db) -> dict[str, object]:
    """Every step that one pushed change led to. Steps about people outside the caller's area are left out; a change
    nobody has heard of has no steps."""
    async with db.reading() as connection:
        steps = await store.load_chain(connection, str(event_id))
        areas = await store.load_areas(connection, sorted({s.person_id for s in steps if s.person_id}))
    allowed = [s for s in steps if s.person_id is None or caller.may_see(areas.get(s.person_id))]
    return {"steps": [_shown(step) for step in in_order(allowed)]}


@router.get("/v1/persons/{person_id}/steps", response_model=PersonSteps)
async def list_person_steps(
    person_id: UUID, caller: Reader, db: Db, limit: Limit = 100, after: Cursor | None = None
) -> dict[str, object]:
    """What happened to one person lately, newest first."""
    async with db.reading() as connection:
        caller.need_area((await store.load_areas(connection, [str(person_id)])).get(str(person_id)))
        page = await store.load_person_steps(connection, str(person_id), limit=limit, before=_cursor(after))
    last = page[-1][0] if len(page) == limit else None
    return {
        "steps": [{**_shown(step), "changes": changes} for step, changes in page],
        "next": f"{last.at.astimezone(UTC).isoformat()}~{last.event_id}" if last else None,
    }


def _cursor(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    at, _, event_id = after.replace(" ", "+").partition("~")
    try:
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None or not 2000 <= instant.year <= 2099:
            raise ValueError("no instant of a step")
        return instant, str(UUID(event_id))
    except ValueError as error:
        raise BadRequest("`after` is not a cursor of this list") from error
