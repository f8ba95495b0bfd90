"""Recoveries: which are open, that money came back, that it is given up."""

from typing import Annotated, Literal

from common.calendar import month_text
from common.errors import Conflict, NotFound
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from shell import clock
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Body
from shell.service import Db

from subsidy.domain.recovery import close_recovery
from subsidy.shapes import AreaCode, Reason, RecoveryView, Uuid, areas_of
from subsidy.store import ledger, recoveries

router = APIRouter(tags=["recoveries"])


class RecoveryPage(BaseModel):
    recoveries: list[RecoveryView]
    next: str | None


class WriteOff(Body):
    reason: Reason


@router.get("/v1/recoveries", summary="Money paid for months that are not owed")
async def list_recoveries(
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "approver", "auditor"))],
    state: Literal["open", "collected", "withdrawn", "written_off"] | None = None,
    person_id: Annotated[Uuid | None, Query()] = None,
    jurisdiction: Annotated[AreaCode | None, Query()] = None,
    after: Annotated[Uuid | None, Query()] = None,
    limit: Limit = 100,
) -> RecoveryPage:
    """Those of the caller's area, in the order of their ids; one per person, item, area and service month."""
    if jurisdiction is not None:
        caller.need_area(jurisdiction)
    areas = [jurisdiction] if jurisdiction else areas_of(caller)
    async with db.reading() as connection:
        rows = await recoveries.list_recoveries(connection, areas, state, person_id, after, limit)
    found = [RecoveryView(**{**row, "service_month": month_text(row["service_month"])}) for row in rows]
    return RecoveryPage(recoveries=found, next=found[-1].recovery_id if len(found) == limit else None)


@router.post("/v1/recoveries/{recovery_id}/collect", summary="The money came back")
async def collect_recovery(
    recovery_id: Uuid, db: Db, caller: Annotated[Caller, Depends(require("officer"))]
) -> RecoveryView:
    """The whole amount, into the fund it came from. Saying so again changes nothing."""
    return await _close(db, recovery_id, caller, "collected", caller.subject)


@router.post("/v1/recoveries/{recovery_id}/write-off", summary="Give the money up")
async def write_off_recovery(
    recovery_id: Uuid, given_up: WriteOff, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> RecoveryView:
    """By an approver, for a reason. If the month is owed again after all, the loss is taken back."""
    return await _close(db, recovery_id, caller, "written_off", f"{caller.subject}: {given_up.reason}")


async def _close(
    db: Db, recovery_id: str, caller: Caller, outcome: Literal["collected", "written_off"], by: str
) -> RecoveryView:
    async with db.transaction() as tx:
        key = await recoveries.find_key(tx.sql, recovery_id)
        if key is None or not caller.may_see(key[2]):
            raise NotFound("no such recovery")
        position = (await ledger.lock_keys(tx, [key]))[key]  # decides who comes first; the case is read after it
        case = await recoveries.load_recovery(tx.sql, recovery_id)
        if case["state"] == "open":
            changes = close_recovery(position, outcome)
            for event in changes.take_events():
                tx.emit(event, position.cause_event_id, division=position.jurisdiction)
            await ledger.save_changes(tx, changes, clock.now(), by)
            case = await recoveries.load_recovery(tx.sql, recovery_id)
        elif case["state"] != outcome:
            raise Conflict(f"the recovery is {case['state']}", code="recovery_closed")
    return RecoveryView(**{**case, "service_month": month_text(case["service_month"])})
