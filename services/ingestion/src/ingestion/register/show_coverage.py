"""`GET /v1/coverage`: what it means on a day, in a place, that nothing was said of a kind."""

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


class Covered(BaseModel):
    """`absence`: `false` – it is not so, because every change is told here by the `sources`; `unknown` – nobody has
    said that every change is told, or this kind never tells by its absence."""

    absence: Literal["false", "unknown"]
    since: date | None
    sources: list[str]


class Coverage(BaseModel):
    """`declared`: whether anything was ever declared of the place or of what holds it. Where nothing was, decisions
    take the absence of any kind that can answer for a no, as they did before there were declarations."""

    division: str
    on: date
    declared: bool
    kinds: dict[str, Covered]


@router.get("/v1/coverage", summary="What the absence of each kind means in a place on a day")
async def show_coverage(
    division: DivisionCode,
    on: Day,
    caller: Annotated[Caller, Depends(require("officer", "approver", "assessor", "auditor"))],
    db: Db,
) -> Coverage:
    """As the register's feeds declare it: a feed of a city covers its counties, never the other way round. For a place
    in your area."""
    if not divisions.known(division):
        raise NotFound("no such division")
    caller.need_area(division)
    await sources.look(db)
    active = {urn: version.entry for urn, version in sources.versions().items() if version.entry.active}
    feeds = [(urn, feed) for urn, entry in active.items() for feed in _feeds(entry, division, on)]
    every = (feed for version in sources.versions().values() for feed in version.entry.feeds)
    declared = any(divisions.within(division, feed.division) for feed in every)
    return Coverage(division=division, on=on, declared=declared, kinds={kind: _covered(kind, feeds) for kind in RULES})


def _feeds(entry: Entry, division: str, on: date) -> Iterable[Feed]:
    for feed in entry.feeds:
        if feed.since <= on and (feed.until is None or on < feed.until) and divisions.within(division, feed.division):
            yield feed


def _covered(kind: Kind, feeds: Iterable[tuple[str, Feed]]) -> Covered:
    found = [(urn, feed.since) for urn, feed in feeds if feed.kind == kind]
    told = bool(found) and RULES[kind].absence == "false"
    return Covered(
        absence="false" if told else "unknown",
        since=min((since for _, since in found), default=None),
        sources=sorted({urn for urn, _ in found}),
    )
