"""Submit, approve or reject a batch. The checker is never the maker, and decides on the present dues."""

from collections.abc import Sequence
from typing import Final

from common.errors import Conflict, NotAllowed, NotFound
from common.events import PaymentOrdered
from fastapi import APIRouter
from shell import clock
from shell.access.auth import Caller
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Key, Line, Position
from subsidy.domain.payment import LineChange, payment_event, reason_against_order, release
from subsidy.scope import Approver, Officer
from subsidy.shapes import BatchOut, ReasonIn, Uuid, batch_out
from subsidy.store import batches, ledger
from subsidy.store.batches import Batch

router = APIRouter(tags=["batches"])
_FINAL: Final = ("approved", "rejected")


@router.post("/v1/batches/{batch_id}/submit", summary="Hand a batch to the checker")
async def submit_batch(batch_id: Uuid, db: Db, caller: Officer) -> BatchOut:
    """Only its maker may submit a batch. A second submission changes nothing."""
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        if batch.maker != caller.subject:
            raise NotAllowed("only its maker submits a batch")
        if batch.state in _FINAL:
            raise Conflict(f"the batch is {batch.state}", code="batch_decided")
        if batch.state == "reserved":
            batch = batch._replace(state="submitted", submitted_at=clock.now())
            await batches.update_batch(tx, batch)
        return await _answer(tx, batch)


@router.post("/v1/batches/{batch_id}/approve", summary="Order the payments of a batch")
async def approve_batch(batch_id: Uuid, db: Db, caller: Approver) -> BatchOut:
    """Only a person other than its maker may approve a batch. Every line is compared with the present dues. A line that
    is no longer owed (a death, a hold, a lower amount) is taken out with its reason; a later batch can pay it.
    """
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        _require_other_than_maker(batch, caller)
        if batch.state == "approved" and batch.checker == caller.subject:
            return await _answer(tx, batch)
        if batch.state != "submitted":
            raise Conflict(f"the batch is {batch.state}", code="batch_not_submitted")
        batch = batch._replace(state="approved", checker=caller.subject, decided_at=clock.now())
        await _order_lines(tx, batch)
        return await _answer(tx, batch)


async def _order_lines(tx: Tx, batch: Batch) -> None:
    """Order the lines that are still owed in full, and take out the others."""
    lines, positions = await _lock_lines(tx, batch.batch_id)
    changes, line_changes = Changes(), []
    for line in lines:
        position = positions[line.key]
        reason = reason_against_order(position, line)
        if reason is None:
            line_changes.append(LineChange(line.line_id, "ordered"))
            event = payment_event(PaymentOrdered, line, batch.batch_id, batch.month)
            tx.emit(event, position.cause_event_id, division=line.jurisdiction)
        else:
            line_changes.append(LineChange(line.line_id, "taken_out", reason))
            release(position, line, "held" if reason == "held" else "voided", changes)
    await _save(tx, batch, changes, line_changes)


@router.post("/v1/batches/{batch_id}/reject", summary="Send a batch back")
async def reject_batch(batch_id: Uuid, rejection: ReasonIn, db: Db, caller: Approver) -> BatchOut:
    """Only a person other than its maker may reject a batch. Its reservations are voided. The next batch takes the
    amounts that are still owed.
    """
    async with db.transaction() as tx:
        batch = await _lock(tx, batch_id, caller)
        _require_other_than_maker(batch, caller)
        if batch.state == "rejected":
            return await _answer(tx, batch)
        if batch.state == "approved":
            raise Conflict("the batch is approved", code="batch_decided")
        batch = batch._replace(
            state="rejected", checker=caller.subject, reason=rejection.reason, decided_at=clock.now()
        )
        lines, positions = await _lock_lines(tx, batch_id)
        changes = Changes()
        for line in lines:
            release(positions[line.key], line, "voided", changes)
        await _save(tx, batch, changes, [LineChange(line.line_id, "rejected") for line in lines])
        return await _answer(tx, batch)


def _require_other_than_maker(batch: Batch, caller: Caller) -> None:
    if batch.maker == caller.subject:
        raise NotAllowed("the maker of a batch must not decide it", code="four_eyes")


async def _lock(tx: Tx, batch_id: str, caller: Caller) -> Batch:
    batch = await batches.load_batch(tx.sql, batch_id, lock=True)
    if batch is None or not caller.may_see(batch.jurisdiction):
        raise NotFound("no such batch")
    return batch


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
