"""GET /v1/policies/{version}/redecision: read the progress of deciding again the people whom a list touches."""

import datetime as dt
from typing import Annotated

from common.errors import NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell.access.auth import Caller, require
from shell.service import Db

from identification.lists.shapes import DRAFT_READERS, Version
from identification.redeciding.store import parts as store
from identification.simulating.domain.protected_tally import protect

router = APIRouter(tags=["policies"])


class RedecisionOut(BaseModel):
    """The progress of deciding people again. `people_touched`: people found so far; all are found at `selected_at`.

    `people`: the number of found people who are decided again; all are decided at `redecided_at`. `people_changed`:
    the number of these people with another decision than before. A halt ends the progress at `redecided_at`; then some
    people may be neither found nor decided. Counts are exact for officers and approvers of the area, and rounded down
    to a multiple of 5 for other callers."""

    version: str
    jurisdiction: str
    published_at: dt.datetime
    people_touched: int
    selected_at: dt.datetime | None
    people: int
    people_changed: int
    redecided_at: dt.datetime | None = Field(description="null while people wait")


@router.get("/v1/policies/{version}/redecision", summary="People touched by a published list, and the progress")
async def follow_redecision(
    version: Version,
    db: Db,
    caller: Annotated[Caller, Depends(require(*DRAFT_READERS))],
) -> RedecisionOut:
    """Shows the progress of the newest publication of this version. The list must be of your area."""
    async with db.reading() as connection:
        progress = await store.load_progress(connection, version)
    if progress is None:
        raise NotFound("this version was never published")
    caller.need_area(progress.jurisdiction)
    if caller.role not in ("officer", "approver"):
        progress = progress._replace(
            people_touched=protect(progress.people_touched),
            people=protect(progress.people),
            people_changed=protect(progress.people_changed),
        )
    return RedecisionOut(**progress._asdict())
