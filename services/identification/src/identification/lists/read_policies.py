"""GET /v1/policies and /v1/unpaid-items: read versions of lists, the list in force in an area, and its unpaid items.

Every caller may read a published or halted list. Officers, approvers, auditors and admins may read the drafts of their
area: proposed and approved lists, also if they were in force before.
"""

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter, Query
from rules.form.policy import BESIDE_ITEMS
from shell.access.auth import AnyCaller
from shell.http.answers import Limit
from shell.http.params import Day, DivisionCode
from shell.service import Db

from identification.lists.domain.content import decode_list
from identification.lists.in_force import set_in_force
from identification.lists.shapes import (
    DRAFT_READERS,
    AreaUnpaidItemOut,
    ListInForceOut,
    PolicyPageOut,
    UnpaidItemOut,
    UnpaidItemsOut,
    show_unpaid,
    show_version,
)
from identification.lists.store import policies, publications
from identification.lists.store.policies import State

router = APIRouter(tags=["policies"])
UNPAID_MAX: Final = 500


@router.get("/v1/policies", summary="Every version of every list")
async def list_policies(
    db: Db,
    caller: AnyCaller,
    state: State | None = None,
    limit: Limit = 100,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$")] = None,
) -> PolicyPageOut:
    """Lists every published or halted version. Officers, approvers, auditors and admins also see the drafts of their
    area, which are the proposed and approved versions. An earlier list that is proposed again is a draft."""
    reads_drafts = caller.role in (*DRAFT_READERS, "admin")
    async with db.reading() as connection:
        areas = await policies.list_draft_areas(connection) if reads_drafts else []
        drafts = [area for area in areas if caller.may_see(area)]
        found = await policies.list_policies(connection, drafts, state=state, after=after, limit=limit)
    page = [show_version(policy) for policy in found]
    return PolicyPageOut(policies=page, next=page[-1].version if len(page) == limit else None)


@router.get("/v1/policies/{jurisdiction}", summary="The list in force in an area")
async def read_policy(
    jurisdiction: DivisionCode,
    db: Db,
    caller: AnyCaller,
    on: Annotated[Day | None, Query(description="only what is in force that day")] = None,
) -> ListInForceOut:
    async with db.reading() as connection:
        found = await publications.load_list_in_force(connection, jurisdiction)
    if found is None:
        raise NotFound("this area has no list of its own")
    content = msgspec.json.decode(found.list)
    unpaid = show_unpaid(decode_list(found.list))
    return ListInForceOut(
        jurisdiction=jurisdiction,
        version=found.version,
        published_at=found.published_at,
        approved_by=msgspec.json.decode(found.approved_by),
        on=on,
        list=_valid_parts(content, on.isoformat()) if on else content,
        unpaid=[item for item in unpaid if on is None or _is_valid(item, on)],
    )


@router.get("/v1/unpaid-items", summary="Items of the lists in force that are not paid")
async def list_unpaid(db: Db, caller: AnyCaller, division: DivisionCode) -> UnpaidItemsOut:
    """Lists the items of the lists above the division, of its own list and of the lists inside it, with the reasons."""
    if not divisions.known(division):
        raise NotFound(f"no division has the code {division}")
    async with db.reading() as connection:
        lists = (await set_in_force(connection)).lists.by_area
    areas = [area for area in lists if divisions.within(area, division) or divisions.within(division, area)]
    found: list[AreaUnpaidItemOut] = []
    for area in sorted(areas, key=lambda area: (len(divisions.ancestors(area)), area)):
        found += [AreaUnpaidItemOut(jurisdiction=area, **item.model_dump()) for item in show_unpaid(lists[area])]
    return UnpaidItemsOut(unpaid=found[:UNPAID_MAX], more=len(found) > UNPAID_MAX)


def _is_valid(item: UnpaidItemOut, on: dt.date) -> bool:
    return item.valid_from <= on and (item.valid_to is None or on < item.valid_to)


def _valid_parts(content: dict[str, Any], on: str) -> dict[str, Any]:
    """Return a list (as JSON) with only those versions, exclusions, floors and deviations that are valid on a day.

    `on` and the dates are texts `YYYY-MM-DD`.
    """

    def is_valid(dated: dict[str, Any]) -> bool:
        return dated["valid_from"] <= on and ("valid_to" not in dated or on < dated["valid_to"])

    items = {}
    for code, item in content.get("items", {}).items():
        versions = [version for version in item["versions"] if is_valid(version)]
        if versions:
            items[code] = {**item, "versions": versions}
    beside = {part: [rule for rule in content.get(part, []) if is_valid(rule)] for part in BESIDE_ITEMS}
    return {**content, "items": items, **beside}
