"""GET /v1/policies: every version of every list, and the one in force in an area. Everybody may read the lists."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from common.auth import AnyCaller
from common.errors import NotFound
from common.http import Limit
from common.service import Db
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from identification.policy_shapes import AREA_PATTERN, PolicyVersionView, State, view_version
from identification.store import lists as store

router = APIRouter(tags=["policies"])


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
    list: dict[str, Any] = Field(description="jurisdiction, items by code, exclusions")


@router.get("/v1/policies", summary="Every version of every list")
async def list_policies(
    db: Db, caller: AnyCaller, state: State | None = None, limit: Limit = 100, after: str | None = None
) -> PolicyPage:
    async with db.reading() as connection:
        rows = await store.list_policies(connection, state=state, after=after, limit=limit)
    page = [view_version(row) for row in rows]
    return PolicyPage(policies=page, next=page[-1].version if len(page) == limit else None)


@router.get("/v1/policies/{jurisdiction}", summary="The list in force in an area")
async def read_policy(
    jurisdiction: Annotated[str, Path(pattern=AREA_PATTERN)],
    db: Db,
    caller: AnyCaller,
    on: Annotated[dt.date | None, Query(description="only what is in force that day")] = None,
) -> RunningListView:
    async with db.reading() as connection:
        row = await store.load_running(connection, jurisdiction)
    if row is None:
        raise NotFound("this area has no list of its own")
    found = msgspec.json.decode(row["list"])
    return RunningListView(
        jurisdiction=jurisdiction,
        version=row["version"],
        published_at=row["published_at"],
        approved_by=msgspec.json.decode(row["approved_by"]),
        on=on,
        list=_cut(found, on.isoformat()) if on else found,
    )


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
