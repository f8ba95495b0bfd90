"""List people with visiting care who had no valid visit in a month, with the cause."""

from uuid import UUID

from common import calendar
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter
from shell import clock
from shell.access.auth import Caller
from shell.access.scopes import Areas, scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Day, DivisionCode
from shell.service import Db

from supervision.callers import Reader
from supervision.domain.unreached import decide_cause
from supervision.shapes import UnreachedOut, UnreachedPageOut
from supervision.store import people, visits
from supervision.store.visits import UnreachedPerson

router = APIRouter(tags=["statistics"])


@router.get("/v1/unreached")
async def list_unreached(
    caller: Reader,
    db: Db,
    division: DivisionCode | None = None,
    on: Day | None = None,
    limit: Limit = 100,
    after: UUID | None = None,
) -> UnreachedPageOut:
    """People with visiting care on a day (default: today) and no valid visit in its calendar month so far."""
    area = division or _own_area(caller)
    if not divisions.known(area):
        raise NotFound(f"no division has the code {area}")
    caller.need_area(area)
    day = on or clock.today()
    async with db.transaction() as tx:
        areas = await people.list_areas(tx.sql, area)
        found = await visits.list_unreached(tx.sql, areas, day, after=str(after) if after else None, limit=limit)
        found_ids = [str(person.person_id) for person in found]
        await audits.append(tx, caller, act="search", purpose="unreached", person_ids=found_ids)
    unreached = [_unreached_out(person) for person in found]
    next_ = unreached[-1].person_id if len(unreached) == limit else None
    return UnreachedPageOut(month=calendar.month_text(day), unreached=unreached, next=next_)


def _own_area(caller: Caller) -> str:
    scope = scope_of(caller)
    return scope.division if isinstance(scope, Areas) else divisions.NATION


def _unreached_out(person: UnreachedPerson) -> UnreachedOut:
    return UnreachedOut(**person._asdict(), cause=decide_cause(person.state, person.outcome, person.verdict))
