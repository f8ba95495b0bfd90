"""Submit, approve, reject: nothing leaves without a second pair of eyes, nor on yesterday's knowledge."""

from collections.abc import Sequence
from typing import Annotated, Final

from common.errors import Conflict, NotAllowed, NotFound
from common.events import PaymentOrdered
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Body
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Key, Position
from subsidy.domain.payment import Line, announce, out_of_batch, release
from subsidy.shapes import BatchView, Reason, Uuid, batch_view
from subsidy.store import batches, ledger
from subsidy.store.batches import Batch

router = APIRouter(tags=["batches"])
_Moved = tuple[str, str, str | None, None]
_FINAL: Final = ("approved", "rejected")


@router.post("/v1/batches/{batch_id}/submit", summary="Hand a batch to the checker")
async def submit_batch(batch_id: Uuid, db: Db, caller: Annotated[Caller, Depends(require("officer"))]) -> BatchView:
    """By its maker. Submitting again changes nothing."""
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        if batch.maker != caller.subject:
            raise NotAllowed("only its maker submits a batch")
        if batch.state in _FINAL:
            raise Conflict(f"the batch is {batch.state}", code="batch_decided")
        if batch.state == "reserved":
            batch = batch._replace(state="submitted", submitted_at=clock.now())
            await batches.update_batch(tx, batch)
        return await _view(tx, batch)


@router.post("/v1/batches/{batch_id}/approve", summary="Order the payments of a batch")
async def approve_batch(batch_id: Uuid, db: Db, caller: Annotated[Caller, Depends(require("approver"))]) -> BatchView:
    """By somebody other than its maker. Every line is held against what is owed at this moment; what has ceased to be
    owed since (a death, a hold, a lower amount) is taken out with its reason and can be paid by a later batch.
    """
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        _need_other_eyes(batch, caller)
        if batch.state == "approved" and batch.checker == caller.subject:
            return await _view(tx, batch)
        if batch.state != "submitted":
            raise Conflict(f"the batch is {batch.state}", code="batch_not_submitted")
        batch = batch._replace(state="approved", checker=caller.subject, decided_at=clock.now())
        lines, positions = await _lock_lines(tx, batch_id)
        changes, moved = Changes(), list[_Moved]()
        for line in lines:
            position = positions[line.key]
            reason = out_of_batch(position, line)
            if reason is None:
                moved.append((line.line_id, "ordered", None, None))
                event = announce(PaymentOrdered, line, batch_id, batch.month)
                tx.emit(event, position.cause_event_id, division=line.jurisdiction)
            else:
                moved.append((line.line_id, "taken_out", reason, None))
                release(position, line, "held" if reason == "held" else "voided", changes)
        await _save(tx, batch, changes, moved)
        return await _view(tx, batch)


class Rejection(Body):
    reason: Reason


@router.post("/v1/batches/{batch_id}/reject", summary="Send a batch back")
async def reject_batch(
    batch_id: Uuid, rejection: Rejection, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> BatchView:
    """By somebody other than its maker. Its reservations are voided; what is still owed goes into the next batch."""
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        _need_other_eyes(batch, caller)
        if batch.state == "rejected":
            return await _view(tx, batch)
        if batch.state == "approved":
            raise Conflict("the batch is approved", code="batch_decided")
        batch = batch._replace(
            state="rejected", checker=caller.subject, reason=rejection.reason, decided_at=clock.now()
        )
        lines, positions = await _lock_lines(tx, batch_id)
        changes = Changes()
        for line in lines:
            release(positions[line.key], line, "voided", changes)
        await _save(tx, batch, changes, [(line.line_id, "rejected", None, None) for line in lines])
        return await _view(tx, batch)


def _need_other_eyes(batch: Batch, caller: Caller) -> None:
    if batch.maker == caller.subject:
        raise NotAllowed("a batch is decided by somebody other than its maker", code="four_eyes")


async def _lock(tx: Tx, batch_id: str, caller: Caller) -> Batch:
    batch = await batches.load_batch(tx.sql, batch_id, lock=True)
    if batch is None or not caller.may_see(batch.jurisdiction):
        raise NotFound("no such batch")
    return batch


async def _lock_lines(tx: Tx, batch_id: str) -> tuple[list[Line], dict[Key, Position]]:
    lines = await batches.lock_lines(tx, batch_id)
    return lines, await ledger.lock_keys(tx, [line.key for line in lines])


async def _save(tx: Tx, batch: Batch, changes: Changes, moved: Sequence[_Moved]) -> None:
    await batches.move_lines(tx, moved)
    await ledger.save_changes(tx, changes, clock.now())
    await batches.update_batch(tx, batch)


async def _view(tx: Tx, batch: Batch) -> BatchView:
    return batch_view(batch, (await batches.totals(tx.sql, [batch.batch_id]))[batch.batch_id])
