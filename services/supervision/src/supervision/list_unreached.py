"""Who has a right to be visited and was not, this month, and why."""

from typing import Annotated, Any, Literal
from uuid import UUID

from common import calendar
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import Areas, scope_of
from shell.http.answers import Limit
from shell.http.params import Day, DivisionCode
from shell.service import Db

from supervision.store import people, visits

router = APIRouter(tags=["statistics"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]
Cause = Literal[
    "no_task",
    "no_provider",
    "offered",
    "declined",
    "accepted",
    "in_progress",
    "not_found",
    "disputed",
    "missed",
    "failed",
    "excused",
    "cancelled",
]
_CAUSES: dict[str, Cause] = {
    "planned": "no_provider",
    "unplaced": "no_provider",
    "expired": "no_provider",
    "offered": "offered",
    "declined": "declined",
    "accepted": "accepted",
    "in_progress": "in_progress",
    "missed": "missed",
    "failed": "failed",
    "excused": "excused",
    "cancelled": "cancelled",
}


class Unreached(BaseModel):
    person_id: UUID
    division: str | None
    cause: Cause
    task_id: UUID | None
    provider: str | None


class UnreachedPage(BaseModel):
    month: str
    unreached: list[Unreached]
    next: UUID | None = Field(description="give it as `after` for the next page")


def decide_cause(row: Any) -> Cause:
    """Why the newest task of the month has not become a valid visit."""
    if row["state"] is None:
        return "no_task"
    if row["state"] == "completed":
        return "not_found" if row["outcome"] == "not_found" else "disputed"
    return _CAUSES[row["state"]]


def _own_area(caller: Caller) -> str:
    scope = scope_of(caller)
    return scope.division if isinstance(scope, Areas) else divisions.NATION


@router.get("/v1/unreached", response_model=UnreachedPage)
async def list_unreached(
    caller: Reader,
    db: Db,
    division: DivisionCode | None = None,
    on: Day | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> dict[str, object]:
    """People with visiting care on a day (today when not given) and no valid visit in its calendar month so far."""
    area = division or _own_area(caller)
    if not divisions.known(area):
        raise NotFound(f"no division has the code {area}")
    caller.need_area(area)
    day = on or clock.today()
    async with db.reading() as connection:
        areas = await people.list_areas(connection, area)
        rows = await visits.list_unreached(connection, areas, day, after=str(after) if after else None, limit=limit)
    return {
        "month": calendar.month_text(day),
        "unreached": [
            {
                **{name: row[name] for name in ("person_id", "division", "task_id", "provider")},
                "cause": decide_cause(row),
            }
            for row in rows
        ],
        "next": rows[-1]["person_id"] if len(rows) == limit else None,
    }
