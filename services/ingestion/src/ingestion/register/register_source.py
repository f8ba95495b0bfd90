"""`PUT /v1/sources/{source}`: enter a source in the register, or change its entry."""

from datetime import date, datetime
from typing import Annotated, Final

from common.calendar import start_of_day
from common.errors import Conflict, Malformed
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.audit import audits
from shell.http.params import INT32_MAX, Body, Day, Reason
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.register import sources
from ingestion.register.shapes import Entry
from ingestion.register.sources import URN_PATTERN
from ingestion.register.store import registry

router = APIRouter(tags=["sources"])
BODY_BYTES_MAX: Final = 256 * 1024


class RegistrationIn(Body):
    """The complete new entry. `begins_on`: the day from which it is in force; at once if null. `replaces`: the version
    that the caller has read, so that no other change is overwritten; 0 for a new source."""

    entry: Entry
    reason: Reason
    begins_on: Day | None = None
    replaces: int = Field(default=0, ge=0, le=INT32_MAX)


class RegisteredOut(BaseModel):
    source: str
    version: int


@router.put("/v1/sources/{source}", summary="Enter a source in the register, or change its entry")
@limits_body(BODY_BYTES_MAX)
async def register_source(
    source: Annotated[str, Path(pattern=URN_PATTERN)],
    body: RegistrationIn,
    caller: Annotated[Caller, Depends(require("admin"))],
    db: Db,
) -> RegisteredOut:
    """Audited. Every area that the entry names, before and after the change, must lie in your area: its `area`, its
    `areas` and the divisions of its `feeds`. Each change adds a version; earlier versions stay readable. A source is
    never removed, only made inactive. Other processes use a version within seconds after it begins."""
    _need_areas(caller, body.entry)
    now = clock.now()
    since = _since(body.begins_on, now)
    async with db.transaction() as tx:
        version = await _known_version(tx, caller, source, body.replaces) + 1
        entry = body.entry.model_dump_json().encode()
        await _insert(tx, registry.NewVersion(source, version, since, entry, caller.user, body.reason))
        await audits.append(tx, caller, act="register_source", purpose=body.reason, cause=source)
    await sources.refresh(db, now=True)
    return RegisteredOut(source=source, version=version)


def _need_areas(caller: Caller, entry: Entry) -> None:
    """Raise NotAllowed if the entry names an area outside the caller's."""
    for area in (entry.area, *entry.areas, *(feed.division for feed in entry.feeds)):
        caller.need_area(area)


def _since(begins_on: date | None, now: datetime) -> datetime:
    """The first instant of the version. Raises Malformed for a day in the past."""
    if begins_on is None:
        return now
    if begins_on < clock.today():
        raise Malformed("a version cannot begin in the past", code="in_past")
    return max(now, start_of_day(begins_on))


async def _insert(tx: Tx, row: registry.NewVersion) -> None:
    """Insert a version. Raises Conflict if the version exists already."""
    if not await registry.insert_versions(tx, [row]):
        raise Conflict("another version was entered at the same time", code="changed_meanwhile")


async def _known_version(tx: Tx, caller: Caller, source: str, replaces: int) -> int:
    """The newest version of the source, 0 if there is none. Raises Conflict if the caller has read another one, and
    NotAllowed if its entry names an area outside the caller's."""
    newest = (await registry.load_newest(tx.sql)).get(source)
    if newest is not None:
        _need_areas(caller, Entry.model_validate_json(newest.entry))
    known = newest.version if newest is not None else 0
    if known != replaces:
        raise Conflict(f"the newest version is {known}", code="changed_meanwhile")
    return known
