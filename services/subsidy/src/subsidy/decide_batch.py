"""Submit, approve or reject a batch. The checker is never the maker, and decides on the present dues."""

from collections.abc import Sequence

from common.errors import Conflict, NotAllowed
from common.events import PaymentOrdered
from fastapi import APIRouter
from shell import clock
from shell.access.auth import Caller
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Key, Line, Position
from subsidy.domain.payment import LineChange, order, payment_event, release
from subsidy.scope import Approver, Officer, visible
from subsidy.shapes import BatchOut, ReasonIn, Uuid, batch_out
from subsidy.store import batches, ledger
from subsidy.store.batches import Batch

router = APIRouter(tags=["batches"])


@router.post("/v1/batches/{batch_id}/submit", summary="Hand a batch to the checker")
async def submit_batch(batch_id: Uuid, db: Db, caller: Officer) -> BatchOut:
    """Only its maker may submit a batch. A second submission changes nothing; after the decision it is a 409."""
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        if batch.maker != caller.user:
            raise NotAllowed("only its maker submits a batch")
        if batch.is_final:
            raise Conflict(f"the batch is {batch.state}", code="batch_decided")
        if batch.state == "reserved":
            batch = batch._replace(state="submitted", submitted_at=clock.now())
            await batches.update_batch(tx, batch)
            await audits.append(tx, caller, act="submit", purpose="batch", cause=batch.batch_id)
        return await _answer(tx, batch)


@router.post("/v1/batches/{batch_id}/approve", summary="Order the payments of a batch")
async def approve_batch(batch_id: Uuid, db: Db, caller: Approver) -> BatchOut:
    """Only a person other than its maker may approve a batch. Every line is compared with the present dues. A line that
    is not due in full any more (a death, a hold, a lower amount) is taken out with its reason. A later batch pays the
    amount that is then due.
    """
    async with db.transaction() as tx:
        batch = await _lock_for_checker(tx, batch_id, caller)
        if batch.state == "approved" and batch.checker == caller.user:
            return await _answer(tx, batch)
        if batch.state != "submitted":
            raise Conflict(f"the batch is {batch.state}", code="batch_not_submitted")
        batch = batch.decided("approved", caller.user, clock.now())
        await _order_lines(tx, batch)
        await audits.append(tx, caller, act="approve", purpose="batch", cause=batch.batch_id)
        return await _answer(tx, batch)


async def _order_lines(tx: Tx, batch: Batch) -> None:
    """Order the lines that are still owed in full, and take out the others."""
    lines, positions = await _lock_lines(tx, batch.batch_id)
    changes, line_changes = Changes(), []
    for line in lines:
        position = positions[line.key]
        line_change = order(position, line, changes)
        line_changes.append(line_change)
        if line_change.state == "ordered":
            event = payment_event(PaymentOrdered, line, batch.batch_id, batch.month)
            tx.emit(event, position.cause_event_id, division=line.jurisdiction)
    await _save(tx, batch, changes, line_changes)


@router.post("/v1/batches/{batch_id}/reject", summary="Send a batch back")
async def reject_batch(batch_id: Uuid, rejection: ReasonIn, db: Db, caller: Approver) -> BatchOut:
    """Only a person other than its maker may reject a batch, also before its submission. Its reservations are voided.
    The next batch takes the amounts that are still owed.
    """
    async with db.transaction() as tx:
        batch = await _lock_for_checker(tx, batch_id, caller)
        if batch.state == "approved":
            raise Conflict("the batch is approved", code="batch_decided")
        if batch.state != "rejected":
            batch = batch.decided("rejected", caller.user, clock.now(), rejection.reason)
            await _release_lines(tx, batch)
            await audits.append(tx, caller, act="reject", purpose=rejection.reason, cause=batch.batch_id)
        return await _answer(tx, batch)


async def _release_lines(tx: Tx, batch: Batch) -> None:
    """Void the reservations of all lines."""
    lines, positions = await _lock_lines(tx, batch.batch_id)
    changes = Changes()
    for line in lines:
        release(positions[line.key], line, "voided", changes)
    await _save(tx, batch, changes, [LineChange(line.line_id, "rejected") for line in lines])


async def _lock_for_checker(tx: Tx, batch_id: str, caller: Caller) -> Batch:
    """Lock a batch for its decision. Raises NotAllowed for the maker of the batch."""
    batch = await _lock(tx, batch_id, caller)
    if batch.maker == caller.user:
        raise NotAllowed("the maker of a batch must not decide it", code="four_eyes")
    return batch


async def _lock(tx: Tx, batch_id: str, caller: Caller) -> Batch:
    return visible(caller, await batches.lock_batch(tx, batch_id))


async def _lock_lines(tx: Tx, batch_id: str) -> tuple[list[Line], dict[Key, Position]]:
    lines = await batches.lock_lines(tx, batch_id)
    return lines, await ledger.lock_keys(tx, [line.key for line in lines])


async def _save(tx: Tx, batch: Batch, changes: Changes, line_changes: Sequence[LineChange]) -> None:
    await batches.change_lines(tx, line_changes)
    await ledger.save_changes(tx, changes, clock.now())
    await batches.update_batch(tx, batch)


async def _answer(tx: Tx, batch: Batch) -> BatchOut:
    totals = await batches.sum_lines(tx.sql, [batch.batch_id])
    return batch_out(batch, totals[batch.batch_id])
