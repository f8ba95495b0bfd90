"""Recoveries: list them, and close one as collected or written off."""

from typing import Annotated, Literal

from common.errors import Conflict, NotFound
from fastapi import APIRouter, Query
from shell import clock
from shell.access.auth import Caller
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Position
from subsidy.domain.recovery import close_recovery
from subsidy.scope import Approver, Officer, Reader, areas_to_list
from subsidy.shapes import AreaCode, ReasonIn, RecoveryOut, RecoveryPageOut, RecoveryState, Uuid
from subsidy.store import ledger, recoveries
from subsidy.store.recoveries import Recovery

router = APIRouter(tags=["recoveries"])
_Outcome = Literal["collected", "written_off"]


@router.get("/v1/recoveries", summary="Money that was paid and is not owed")
async def list_recoveries(
    db: Db,
    caller: Reader,
    state: RecoveryState | None = None,
    person_id: Annotated[Uuid | None, Query()] = None,
    jurisdiction: Annotated[AreaCode | None, Query()] = None,
    after: Annotated[Uuid | None, Query()] = None,
    limit: Limit = 100,
) -> RecoveryPageOut:
    """Recoveries of the caller's area, in the order of their ids; one per person, item, area and service month."""
    areas = areas_to_list(caller, jurisdiction)
    async with db.transaction() as tx:
        found = await recoveries.list_recoveries(tx.sql, areas, state, person_id, after, limit)
        people = sorted({recovery.person_id for recovery in found})
        await audits.append(tx, caller, act="search", purpose="recoveries", person_ids=people)
    next_ = found[-1].recovery_id if len(found) == limit else None
    return RecoveryPageOut(recoveries=[RecoveryOut.of(recovery) for recovery in found], next=next_)


@router.post("/v1/recoveries/{recovery_id}/collect", summary="The money came back")
async def collect_recovery(recovery_id: Uuid, db: Db, caller: Officer) -> RecoveryOut:
    """Close a recovery because the person repaid the whole amount, into the fund of the payment. A second call changes
    nothing. `409 recovery_closed` if the recovery ended in another way."""
    return await _close(db, recovery_id, caller, "collected", caller.user)


@router.post("/v1/recoveries/{recovery_id}/write-off", summary="Give the money up")
async def write_off_recovery(recovery_id: Uuid, write_off: ReasonIn, db: Db, caller: Approver) -> RecoveryOut:
    """Close a recovery without repayment, by an approver, with a reason. If the month is owed again later, the loss is
    reversed. `409 recovery_closed` if the recovery ended in another way."""
    return await _close(db, recovery_id, caller, "written_off", f"{caller.user}: {write_off.reason}")


async def _close(db: Db, recovery_id: str, caller: Caller, outcome: _Outcome, closed_by: str) -> RecoveryOut:
    async with db.transaction() as tx:
        position, recovery = await _lock(tx, recovery_id, caller)
        if recovery.state == "open":
            act = "collect" if outcome == "collected" else "write_off"
            person_ids = [recovery.person_id]
            await audits.append(tx, caller, act=act, purpose="recovery", cause=recovery_id, person_ids=person_ids)
            await _save_closed(tx, position, outcome, closed_by)
            recovery = await _load(tx, recovery_id, caller)
        elif recovery.state != outcome:
            raise Conflict(f"the recovery is {recovery.state}", code="recovery_closed")
    return RecoveryOut.of(recovery)


async def _lock(tx: Tx, recovery_id: str, caller: Caller) -> tuple[Position, Recovery]:
    """Lock the position of a recovery. Returns it with the recovery, which is read again under the lock."""
    key = (await _load(tx, recovery_id, caller)).key
    positions = await ledger.lock_keys(tx, [key])
    return positions[key], await _load(tx, recovery_id, caller)


async def _load(tx: Tx, recovery_id: str, caller: Caller) -> Recovery:
    """Load a recovery. Raises NotFound for an unknown one, and for one outside the caller's area."""
    recovery = await recoveries.load_recovery(tx.sql, recovery_id)
    if recovery is None or not caller.may_see(recovery.jurisdiction):
        raise NotFound("no such recovery")
    return recovery


async def _save_closed(tx: Tx, position: Position, outcome: _Outcome, closed_by: str) -> None:
    changes = close_recovery(position, outcome)
    for event in changes.take_events():
        tx.emit(event, position.cause_event_id, division=position.jurisdiction)
    await ledger.save_changes(tx, changes, clock.now(), closed_by)
