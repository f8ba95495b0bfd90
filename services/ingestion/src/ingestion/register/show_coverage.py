"""`GET /v1/coverage`: the meaning of a missing fact, per kind, in a division on a day."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

from common.codes import divisions
from common.errors import NotFound
from common.events.facts import Kind
from common.events.kinds import RULES
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from shell.access.auth import Caller, require
from shell.http.params import Day, DivisionCode
from shell.service import Db

from ingestion.register import sources
from ingestion.register.shapes import Entry, Feed

router = APIRouter(tags=["sources"])


class CoveredOut(BaseModel):
    """`absence`: `false` means that a missing fact is a no, because the `sources` report every change of this kind
    here. `unknown`: no source declares that, or a missing fact of this kind is never a no."""

    absence: Literal["false", "unknown"]
    since: date | None
    sources: list[str]


class CoverageOut(BaseModel):
    """`declared`: whether any feed was ever declared for this division or an area above it. Without a declaration,
    decisions take every missing fact as a no, for all kinds where that is possible."""

    division: str
    on: date
    declared: bool
    kinds: dict[str, CoveredOut]


@router.get("/v1/coverage", summary="The meaning of a missing fact of each kind, in a division on a day")
async def show_coverage(
    division: DivisionCode,
    on: Day,
    caller: Annotated[Caller, Depends(require("officer", "approver", "assessor", "auditor"))],
    db: Db,
) -> CoverageOut:
    """By the feeds in the register, for a division in your area. A feed of a city covers its counties; a feed of a
    county does not cover its city."""
    if not divisions.known(division):
        raise NotFound("no such division")
    caller.need_area(division)
    await sources.refresh(db)
    entries = {urn: version.entry for urn, version in sources.versions().items()}
    feeds = [(urn, feed) for urn, entry in entries.items() if entry.active for feed in _feeds_on(entry, division, on)]
    kinds: dict[str, CoveredOut] = {kind: _covered(kind, feeds) for kind in RULES}
    return CoverageOut(division=division, on=on, declared=_is_declared(entries.values(), division), kinds=kinds)


def _feeds_on(entry: Entry, division: str, on: date) -> Iterable[Feed]:
    for feed in entry.feeds:
        if feed.since <= on and (feed.until is None or on < feed.until) and divisions.within(division, feed.division):
            yield feed


def _is_declared(entries: Iterable[Entry], division: str) -> bool:
    feeds = (feed for entry in entries for feed in entry.feeds)
    return any(divisions.within(division, feed.division) for feed in feeds)


def _covered(kind: Kind, feeds: Iterable[tuple[str, Feed]]) -> CoveredOut:
    found = [(urn, feed.since) for urn, feed in feeds if feed.kind == kind]
    is_no = bool(found) and RULES[kind].absence == "false"
    return CoveredOut(
        absence="false" if is_no else "unknown",
        since=min((since for _, since in found), default=None),
        sources=sorted({urn for urn, _ in found}),
    )
