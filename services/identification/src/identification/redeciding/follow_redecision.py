"""GET /v1/policies/{version}/redecision: how far the people whom a published list may touch are decided again."""

import datetime as dt
from typing import Annotated

from common.errors import NotFound
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field
from shell.access.auth import Caller, require
from shell.service import Db

from identification.lists.shapes import GATE_READERS
from identification.redeciding import store
from identification.simulating.domain.protected_tally import protect

router = APIRouter(tags=["policies"])


class RedecisionView(BaseModel):
    """`people_touched` so far; all of them since `selected_at`. `people` were looked at, `people_changed` of them have
    another decision. Done since `redecided_at`. Counts are exact for officers and approvers of the area, and rounded
    down to a multiple of 5 for other callers."""

    version: str
    jurisdiction: str
    published_at: dt.datetime
    people_touched: int
    selected_at: dt.datetime | None
    people: int
    people_changed: int
    redecided_at: dt.datetime | None = Field(description="null while people wait")


@router.get("/v1/policies/{version}/redecision", summary="Whom a published list touches, and how far they are decided")
async def follow_redecision(
    version: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
    db: Db,
    caller: Annotated[Caller, Depends(require(*GATE_READERS))],
) -> RedecisionView:
    """Of the newest publication of this version, which is of your area."""
    async with db.reading() as connection:
        row = await store.how_far(connection, version)
    if row is None:
        raise NotFound("this version was never published")
    caller.need_area(row["jurisdiction"])
    view = RedecisionView.model_validate(dict(row))
    if caller.role in ("officer", "approver"):
        return view
    counts = ("people_touched", "people", "people_changed")
    return view.model_copy(update={name: protect(getattr(view, name)) for name in counts})
