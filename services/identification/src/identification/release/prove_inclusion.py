"""GET /v1/inclusion: whether a list in force gives at least what the lists above it give, and who loses."""

import asyncio
from typing import Annotated

import msgspec
from common.codes import divisions
from common.errors import BadRequest
from fastapi import APIRouter, Query
from rules.form.policy import PolicyList
from rules.proof.inclusion import lists_above, prove_inclusion
from shell.access.auth import AnyCaller
from shell.http.params import DivisionCode
from shell.service import Db
from shell.settings import settings

from identification.lists.in_force import running_now
from identification.release.shapes import InclusionView

router = APIRouter(tags=["policies"])


@router.get("/v1/inclusion", summary="Whether a list gives at least what the lists above it give")
async def inclusion(
    db: Db,
    caller: AnyCaller,
    child: DivisionCode,
    parent: Annotated[
        DivisionCode | None, Query(description="leave out the lists between; without it the nearest count")
    ] = None,
) -> InclusionView:
    """The lists in force, for every possible person and every day."""
    if parent is not None and parent not in divisions.ancestors(child):
        raise BadRequest(f"{parent} does not lie above {child}", code="not_above")
    async with db.reading() as connection:
        running = (await running_now(connection)).lists
    lists = running.by_area
    above = lists_above(child, lists)
    if parent is not None:
        above = [one for one in above if one.jurisdiction in (parent, *divisions.ancestors(parent))]
    own = lists.get(child) or PolicyList(jurisdiction=child)
    found = await asyncio.to_thread(prove_inclusion, own, above, coverage=running.coverage, demo=settings().demo)
    return InclusionView.model_validate({**msgspec.to_builtins(found), "included": found.holds})
