"""`PUT /v1/sources/{source}`: who may send what from now on."""

from typing import Annotated, Final

from common.calendar import start_of_day
from common.errors import Conflict, Malformed
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.http.params import INT32_MAX, Body, Day, Reason
from shell.service import Db

from ingestion.audits import store
from ingestion.register import sources
from ingestion.register.shapes import Entry
from ingestion.register.sources import URN_PATTERN
from ingestion.register.store import registry

router = APIRouter(tags=["sources"])
BODY_BYTES_MAX: Final = 256 * 1024


class Registration(Body):
    """The whole entry as it shall be. `begins_on`: from that day on, at once without one; `replaces`: the version that
    was read before, so that nobody's change is lost."""

    entry: Entry
    reason: Reason
    begins_on: Day | None = None
    replaces: int = Field(default=0, ge=0, le=INT32_MAX)


class Registered(BaseModel):
    source: str
    version: int


@router.put("/v1/sources/{source}", summary="Enter a source in the register, or change its entry")
@limits_body(BODY_BYTES_MAX)
async def register_source(
    source: Annotated[str, Path(pattern=URN_PATTERN)],
    body: Registration,
    caller: Annotated[Caller, Depends(require("admin"))],
    db: Db,
) -> Registered:
    """Audited. Versions are only added: what was in force before can always be told. A source is not removed but made
    inactive. Other processes follow within seconds."""
    caller.need_area(body.entry.area)
    now = clock.now()
    since = max(now, start_of_day(body.begins_on)) if body.begins_on else now
    if body.begins_on and body.begins_on < clock.today():
        raise Malformed("a version cannot begin in the past", code="in_past")
    async with db.transaction() as tx:
        newest = (await registry.load_newest(tx.sql)).get(source)
        known = newest["version"] if newest is not None else 0
        if newest is not None:
            caller.need_area(Entry.model_validate_json(newest["entry"]).area)
        if known != body.replaces:
            raise Conflict(f"the newest version is {known}", code="changed_meanwhile")
        row = (source, known + 1, since, body.entry.model_dump_json().encode(), caller.subject, body.reason)
        if not await registry.insert_versions(tx, [row]):
            raise Conflict("somebody else has entered a version", code="changed_meanwhile")
        await store.append_audit(
            tx, caller, clock.real_now(), action="register_source", purpose=body.reason, cause=source
        )
    await sources.look(db, now=True)
    return Registered(source=source, version=known + 1)
