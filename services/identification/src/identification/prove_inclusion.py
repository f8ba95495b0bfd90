"""GET /v1/inclusion: whether a list in force gives at least what the lists above it give, and who loses."""

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
from common.auth import AnyCaller
from common.codes import divisions
from common.errors import BadRequest
from common.service import Db
from fastapi import APIRouter, Query
from pydantic import Field
from rules.inclusion import COVERED, NOT_COVERED, lists_above, prove_inclusion
from rules.policy import PolicyList

from identification.running import running_now
from identification.viewing import FromStruct

router = APIRouter(tags=["policies"])
Area = Annotated[str, Query(pattern=r"^\d{6}(\d{3}){0,2}$")]


class PersonView(FromStruct):
    """Somebody possible, nobody real: what matters of them on a day, places as division codes."""

    on: dt.date
    known: dict[str, Any]
    text: str


class DeviationView(FromStruct):
    item: str
    clause: str
    signer: str
    reason: str
    status: str
    valid_from: dt.date
    valid_to: dt.date | None = None


class NarrowerView(FromStruct):
    """Over [`from`, `to`) the list gives some people less of an item than the list of `parent`."""

    item: str
    code: str
    parent: str
    from_: dt.date = Field(alias="from")
    to: dt.date | None
    person: PersonView
    parent_gives: str
    child_gives: str
    sentence: str
    floor: bool = False
    deviation: DeviationView | None = None


class InclusionView(FromStruct):
    """`included`: nobody gets less, or only whom a deviation names (`deviating`)."""

    child: str
    above: list[str]
    included: bool
    compared: list[str]
    narrower: list[NarrowerView]
    deviating: list[NarrowerView]
    undecided: list[str]
    idle: list[DeviationView]
    covered: tuple[str, ...] = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED


@router.get("/v1/inclusion", summary="Whether a list gives at least what the lists above it give")
async def inclusion(
    db: Db,
    caller: AnyCaller,
    child: Area,
    parent: Annotated[
        Area | None, Query(description="leave out the lists between; without it the nearest count")
    ] = None,
) -> InclusionView:
    """The lists in force, for every possible person and every day."""
    if parent is not None and parent not in divisions.ancestors(child):
        raise BadRequest(f"{parent} does not lie above {child}", code="not_above")
    async with db.reading() as connection:
        lists = (await running_now(connection)).lists.by_area
    above = lists_above(child, lists)
    if parent is not None:
        above = [one for one in above if one.jurisdiction in (parent, *divisions.ancestors(parent))]
    own = lists.get(child) or PolicyList(jurisdiction=child)
    found = await asyncio.to_thread(prove_inclusion, own, above)
    return InclusionView.model_validate({**msgspec.to_builtins(found), "included": found.holds})
