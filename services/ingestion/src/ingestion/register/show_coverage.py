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
from ingestion.register.shapes import Feed

router = APIRouter(tags=["sources"])


class CoveredOut(BaseModel):
    """The meaning of a missing fact of one kind. `absence`: `false` means "no", because the `sources` report every
    change of this kind here. `unknown`: no source declares that, or a missing fact of this kind never means "no"."""

    absence: Literal["false", "unknown"]
    since: date | None
    sources: list[str]


class CoverageOut(BaseModel):
    """The meaning of missing facts in a division on a day. `declared`: whether a coverage entry in the register names
    this division or an area above it, even an ended one or one of an inactive source. Without such an entry, decisions
    take every missing fact as a "no", for all kinds where that is possible."""

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
    """Reads the coverage entries (`feeds`) in the register. The division must lie in your area. An entry for a city
    covers its counties; an entry for a county does not cover its city."""
    _need_visible(caller, division)
    await sources.refresh(db)
    feeds = _feeds(division, on)
    kinds: dict[str, CoveredOut] = {kind: _covered(kind, feeds) for kind in RULES}
    return CoverageOut(division=division, on=on, declared=_is_declared(division), kinds=kinds)


def _need_visible(caller: Caller, division: str) -> None:
    """Raise NotFound for an unknown division, NotAllowed for one outside the caller's area."""
    if not divisions.known(division):
        raise NotFound("no such division")
    caller.need_area(division)


def _feeds(division: str, on: date) -> list[tuple[str, Feed]]:
    """The coverage entries of active sources for the division on the day, each after the URN of its source."""
    found = []
    for urn, entry in sources.active_entries().items():
        found += [(urn, feed) for feed in entry.feeds if _covers(feed, division, on)]
    return found


def _covers(feed: Feed, division: str, on: date) -> bool:
    is_valid = feed.since <= on and (feed.until is None or on < feed.until)
    return is_valid and divisions.within(division, feed.division)


def _is_declared(division: str) -> bool:
    feeds = (feed for entry in sources.entries().values() for feed in entry.feeds)
    return any(divisions.within(division, feed.division) for feed in feeds)


def _covered(kind: Kind, feeds: Iterable[tuple[str, Feed]]) -> CoveredOut:
    found = [(urn, feed.since) for urn, feed in feeds if feed.kind == kind]
    is_no = bool(found) and RULES[kind].absence == "false"
    return CoveredOut(
        absence="false" if is_no else "unknown",
        since=min((since for _, since in found), default=None),
        sources=sorted({urn for urn, _ in found}),
    )
