"""GET /v1/policies/{version}/review: what those who sign a list look at: what it changes, and who would get less."""

import asyncio
import datetime as dt
from typing import Annotated, Any, Literal

import asyncpg
import msgspec
from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.deciding.lists import Lists
from rules.form.items import ITEM_TITLES
from rules.form.policy import PolicyList
from rules.proof.inclusion import lists_above, prove_inclusion
from rules.proof.lint import lint
from rules.words.list_changes import list_changes
from shell import clock
from shell.access.auth import Caller, require
from shell.service import Db
from shell.settings import settings

from identification.lists.in_force import Running, running_now
from identification.lists.shapes import (
    APPROVALS_NEEDED,
    GATE_READERS,
    FromStruct,
    PolicyVersionView,
    UnpaidItemView,
    Version,
    view_unpaid,
    view_version,
)
from identification.lists.store import lists as store
from identification.release.shapes import InclusionView
from identification.simulating.gate import sound_simulations

router = APIRouter(tags=["policies"])
_decoder = msgspec.json.Decoder(PolicyList)


class ChangeView(BaseModel):
    """`item` is null for what stands beside the items. `on`: the first day it matters; null: to no decision."""

    item: str | None
    title: str | None
    on: dt.date | None
    text: str


class FaultView(FromStruct):
    pointer: str
    code: str
    severity: Literal["error", "warning"]
    text: str


class ReviewView(BaseModel):
    """`against`: the version it is held against: the one in force, or the one that it took the place of; null where
    there was none. `sound`: the simulations that can be signed upon now; without one `blocked` says why."""

    policy: PolicyVersionView
    approvals_needed: int
    against: str | None
    changes: list[ChangeView]
    faults: list[FaultView]
    inclusion: InclusionView = Field(description="held against the lists above that are in force now")
    sound: list[str]
    blocked: str | None
    unpaid: list[UnpaidItemView] = Field(description="items of this list that are not paid once it is in force")


@router.get("/v1/policies/{version}/review", summary="What a list changes, and whether anybody gets less by it")
async def review_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require(*GATE_READERS))]
) -> ReviewView:
    """Of a list of your area. It takes about a second."""
    async with db.reading() as connection:
        row = await store.load_policy(connection, version)
        if row is None:
            raise NotFound("no such version")
        caller.need_area(row["jurisdiction"])
        running = await running_now(connection)
        against, before = await _before(connection, row, running)
        proposed = _decoder.decode(row["list"])
        sound, blocked = await _sound(connection, row, proposed, running)
    found = await asyncio.to_thread(_examined, proposed, before, running.lists)
    return ReviewView(
        policy=view_version(row),
        approvals_needed=APPROVALS_NEEDED,
        against=against,
        sound=sound,
        blocked=blocked,
        unpaid=view_unpaid(proposed),
        **found,
    )


async def _before(connection: asyncpg.Connection, row: Any, running: Running) -> tuple[str | None, PolicyList]:
    """What a proposal would take the place of, and what a published list did."""
    area = row["jurisdiction"]
    nothing = PolicyList(jurisdiction=area)
    if row["state"] in ("proposed", "approved"):
        return running.versions.get(area), running.lists.by_area.get(area) or nothing
    publication = await store.newest_publication_of(connection, row["version"])
    earlier = await store.load_publication_before(connection, publication) if publication else None
    return (earlier["version"], _decoder.decode(earlier["list"])) if earlier else (None, nothing)


async def _sound(
    connection: asyncpg.Connection, row: Any, proposed: PolicyList, running: Running
) -> tuple[list[str], str | None]:
    if row["state"] not in ("proposed", "approved"):
        return [], None
    try:
        return await sound_simulations(connection, running, proposed, row["version"], clock.now()), None
    except Conflict as refused:
        return [], refused.code


def _examined(proposed: PolicyList, before: PolicyList, running: Lists) -> dict[str, Any]:
    area, lists = proposed.jurisdiction, running.by_area
    titles = {code: item.title for one in (before, proposed) for code, item in one.items.items()} | ITEM_TITLES
    inclusion = prove_inclusion(proposed, lists_above(area, lists), coverage=running.coverage, demo=settings().demo)
    return {
        "changes": [
            ChangeView(item=c.item, title=titles.get(c.item, c.item) if c.item else None, on=c.on, text=c.text)
            for c in list_changes(before, proposed)
        ],
        "faults": [FaultView.model_validate(f) for f in lint({**lists, area: proposed}, areas=[area])],
        "inclusion": InclusionView.model_validate({**msgspec.to_builtins(inclusion), "included": inclusion.holds}),
    }
