"""GET /v1/policies: the versions of the lists, and the list in force in an area.

Everybody may read a list that is or was in force. A draft is shown to officers, approvers and auditors of its area.
"""

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from shell.access.auth import AnyCaller
from shell.http.answers import Limit
from shell.http.params import Day, DivisionCode
from shell.service import Db

from identification.lists.in_force import running_now
from identification.lists.shapes import (
    GATE_READERS,
    PolicyVersionView,
    State,
    UnpaidItemView,
    view_unpaid,
    view_version,
)
from identification.lists.store import lists as store

router = APIRouter(tags=["policies"])
UNPAID_MAX: Final = 500
DRAFT_READERS: Final = (*GATE_READERS, "admin")


class AreaUnpaidView(UnpaidItemView):
    jurisdiction: str


class UnpaidPage(BaseModel):
    """`more`: there are more than are shown; ask for a smaller division."""

    unpaid: list[AreaUnpaidView]
    more: bool


class PolicyPage(BaseModel):
    policies: list[PolicyVersionView]
    next: str | None


class RunningListView(BaseModel):
    """`list` has the form of the files in `contracts/policy`; with `on`, only what is in force that day."""

    jurisdiction: str
    version: str
    published_at: dt.datetime
    approved_by: list[str]
    on: dt.date | None
    unpaid: list[UnpaidItemView] = Field(description="items that nobody is paid, and why; none in a demonstration")
    list: dict[str, Any] = Field(description="jurisdiction, items by code, exclusions")


@router.get("/v1/policies", summary="Every version of every list")
async def list_policies(
    db: Db,
    caller: AnyCaller,
    state: State | None = None,
    limit: Limit = 100,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$")] = None,
) -> PolicyPage:
    """Every version that is or was in force, and the drafts of your area."""
    async with db.reading() as connection:
        areas = await store.list_draft_areas(connection) if caller.role in DRAFT_READERS else []
        drafts = [area for area in areas if caller.may_see(area)]
        rows = await store.list_policies(connection, drafts, state=state, after=after, limit=limit)
    page = [view_version(row) for row in rows]
    return PolicyPage(policies=page, next=page[-1].version if len(page) == limit else None)


@router.get("/v1/policies/{jurisdiction}", summary="The list in force in an area")
async def read_policy(
    jurisdiction: DivisionCode,
    db: Db,
    caller: AnyCaller,
    on: Annotated[Day | None, Query(description="only what is in force that day")] = None,
) -> RunningListView:
    async with db.reading() as connection:
        row = await store.load_running(connection, jurisdiction)
    if row is None:
        raise NotFound("this area has no list of its own")
    found = msgspec.json.decode(row["list"])
    unpaid = [view for view in view_unpaid(store.decode_list(row["list"])) if on is None or _holds_on(view, on)]
    return RunningListView(
        jurisdiction=jurisdiction,
        version=row["version"],
        published_at=row["published_at"],
        approved_by=msgspec.json.decode(row["approved_by"]),
        on=on,
        list=_cut(found, on.isoformat()) if on else found,
        unpaid=unpaid,
    )


@router.get("/v1/unpaid-items", summary="What the lists in force name and nobody is paid")
async def list_unpaid(db: Db, caller: AnyCaller, division: DivisionCode) -> UnpaidPage:
    """Of the lists above the division, its own, and those in it: with the reason for each version of each item."""
    async with db.reading() as connection:
        running = (await running_now(connection)).lists.by_area
    areas = [area for area in running if divisions.within(area, division) or divisions.within(division, area)]
    found = [
        AreaUnpaidView(jurisdiction=area, **view.model_dump())
        for area in sorted(areas, key=lambda area: (len(divisions.ancestors(area)), area))
        for view in view_unpaid(running[area])
    ]
    return UnpaidPage(unpaid=found[:UNPAID_MAX], more=len(found) > UNPAID_MAX)


def _holds_on(view: UnpaidItemView, on: dt.date) -> bool:
    return view.valid_from <= on and (view.valid_to is None or on < view.valid_to)


def _cut(found: dict[str, Any], on: str) -> dict[str, Any]:
    """A list reduced to what is in force on a day (ISO dates compare as text)."""

    def in_force(dated: dict[str, Any]) -> bool:
        return dated["valid_from"] <= on and ("valid_to" not in dated or on < dated["valid_to"])

    items = {
        code: {**item, "versions": versions}
        for code, item in found.get("items", {}).items()
        if (versions := [v for v in item["versions"] if in_force(v)])
    }
    return {**found, "items": items, "exclusions": [rule for rule in found.get("exclusions", []) if in_force(rule)]}
