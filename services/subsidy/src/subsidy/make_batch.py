"""Make a batch: reserve the payable amounts of an area for service months up to one month."""

from datetime import date
from typing import Final

from common import calendar
from common.errors import Conflict
from common.events import PaymentReserved
from fastapi import APIRouter
from shell import clock
from shell.audit import audits
from shell.http.idempotency import CreatesByKey
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Line, Position
from subsidy.domain.payment import payment_event, reserve
from subsidy.scope import Officer
from subsidy.shapes import BatchIn, BatchOut, batch_out
from subsidy.store import batches, ledger
from subsidy.store.batches import Batch

LINES_MAX: Final = 20_000
router = APIRouter(tags=["batches"])


@router.post("/v1/batches", status_code=201, summary="Reserve the amounts that an area owes up to a month")
async def make_batch(
    wanted: BatchIn,
    db: Db,
    caller: Officer,
    creation: CreatesByKey,
) -> BatchOut:
    """One line per person, item and service month that is due (not held), not fully paid and in no open batch. A line
    is `reissue` if the bank returned the last payment, `pay` if it is the first payment of the month itself, else
    `back_pay`. At most 20,000 lines; the next batch takes the rest. `409 nothing_to_pay` if there is no line, `409
    month_ahead` for a month after the next one. The same `Idempotency-Key` gives the same batch.
    """
    caller.need_area(wanted.jurisdiction)
    month = _month_of(wanted)
    batch = _new_batch(creation.id_for("batch", caller), wanted.jurisdiction, month, caller.user)
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, wanted)
        batch = await _make(tx, batch) if made_before is None else await _load_made_before(tx, batch)
        await creation.created(tx, caller, batch.batch_id)
        await audits.append(tx, caller, act="prepare", purpose="batch", cause=batch.batch_id)
        totals = await batches.sum_lines(tx.sql, [batch.batch_id])
    return batch_out(batch, totals[batch.batch_id])


def _month_of(wanted: BatchIn) -> date:
    """Return the first day of the wanted month. Raises Conflict for a month after the next calendar month."""
    month = calendar.parse_month(wanted.month)
    if month > calendar.add_months(calendar.month_of(clock.today()), 1):
        raise Conflict("that month is too far ahead", code="month_ahead")
    return month


def _new_batch(batch_id: str, jurisdiction: str, month: date, maker: str) -> Batch:
    return Batch(
        batch_id,
        jurisdiction,
        month,
        "reserved",
        maker,
        checker=None,
        reason=None,
        created_at=clock.now(),
        submitted_at=None,
        decided_at=None,
    )


async def _make(tx: Tx, batch: Batch) -> Batch:
    if not await batches.insert_batch(tx, batch):
        return await _load_made_before(tx, batch)
    await _reserve(tx, batch)
    return batch


async def _load_made_before(tx: Tx, batch: Batch) -> Batch:
    """Load the batch that an earlier request made with the same key. It exists even after the stored key expired.

    Raises Conflict if that batch has another area or month.
    """
    found = await batches.load_batch(tx.sql, batch.batch_id)
    if found is None or not found.pays_the_same_as(batch):
        raise Conflict("this Idempotency-Key made another batch", code="idempotency_key_reused")
    return found


async def _reserve(tx: Tx, batch: Batch) -> None:
    """Reserve the payable amounts of the batch's area up to its month. Raises Conflict if there are none."""
    positions = await ledger.lock_payable(tx, batch.jurisdiction, batch.month, LINES_MAX)
    if not positions:
        raise Conflict("nothing is owed that is not paid or in another batch", code="nothing_to_pay")
    changes = Changes()
    lines = [reserve(position, batch.month, batch.batch_id, changes) for position in positions]
    await batches.insert_lines(tx, batch.batch_id, lines)
    await ledger.save_changes(tx, changes, batch.created_at)
    for position, line in zip(positions, lines, strict=True):
        _emit_reserved(tx, batch, position, line)


def _emit_reserved(tx: Tx, batch: Batch, position: Position, line: Line) -> None:
    event = payment_event(PaymentReserved, line, batch.batch_id, batch.month)
    # the payment belongs to the chain of the event that made the money due
    tx.emit(event, position.cause_event_id, division=position.jurisdiction)
