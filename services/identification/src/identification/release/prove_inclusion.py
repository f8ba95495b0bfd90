"""GET /v1/inclusion: check whether a list in force gives every person at least the benefits of the lists above it."""

import asyncio
from typing import Annotated

from common.codes import divisions
from common.errors import BadRequest, NotFound
from fastapi import APIRouter, Query
from rules.proof.inclusion import lists_above, prove_inclusion
from shell.access.auth import AnyCaller
from shell.http.params import DivisionCode
from shell.service import Db
from shell.settings import settings

from identification.lists.in_force import set_in_force
from identification.release.shapes import InclusionOut, show_inclusion

router = APIRouter(tags=["policies"])


@router.get("/v1/inclusion", summary="Whether a list gives at least what the lists above it give")
async def inclusion(
    db: Db,
    caller: AnyCaller,
    child: DivisionCode,
    parent: Annotated[
        DivisionCode | None, Query(description="leave out the lists between; by default the nearest count")
    ] = None,
) -> InclusionOut:
    """Compares the lists in force, for every possible person and every day."""
    if not divisions.known(child):
        raise NotFound(f"no division has the code {child}")
    if parent is not None and parent not in divisions.ancestors(child):
        raise BadRequest(f"{parent} does not lie above {child}", code="not_above")
    async with db.reading() as connection:
        list_set = await set_in_force(connection)
    lists = list_set.lists
    above = lists_above(child, lists.by_area)
    if parent is not None:
        above = [one for one in above if one.jurisdiction in (parent, *divisions.ancestors(parent))]
    found = await asyncio.to_thread(
        prove_inclusion, list_set.list_of(child), above, coverage=lists.coverage, demo=settings().demo
    )
    return show_inclusion(found)
