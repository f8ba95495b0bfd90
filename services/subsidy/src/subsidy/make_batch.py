"""The maker: reserve everything an area owes for service months up to one month."""

from typing import Annotated, Final

from common import calendar
from common.errors import Conflict
from common.events import PaymentReserved
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.http.idempotency import CreatesByKey
from shell.http.params import Body
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes
from subsidy.domain.payment import announce, reserve
from subsidy.shapes import AreaCode, BatchView, MonthText, batch_view
from subsidy.store import batches, ledger
from subsidy.store.batches import Batch

LINES_MAX: Final = 20_000
router = APIRouter(tags=["batches"])


class BatchRequest(Body):
    month: MonthText
    jurisdiction: AreaCode


@router.post("/v1/batches", status_code=201, summary="Reserve what an area owes up to a month")
async def make_batch(
    wanted: BatchRequest,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer"))],
    creation: CreatesByKey,
) -> BatchView:
    """One line per person, item and service month that is owed, not yet paid and in no open batch: `pay` for the
    month itself, `back_pay` for earlier ones, `reissue` where the bank sent the last payment back. At most 20,000
    lines; what is left goes into the next batch. `409 nothing_to_pay` when there is none. The same `Idempotency-Key`
    is one batch.
    """
    caller.need_area(wanted.jurisdiction)
    month = calendar.parse_month(wanted.month)
    if month > calendar.add_months(calendar.month_of(clock.today()), 1):
        raise Conflict("that month is too far ahead", code="month_ahead")
    now = clock.now()
    batch = Batch(
        creation.id_for("batch", caller),
        wanted.jurisdiction,
        month,
        "reserved",
        caller.subject,
        None,
        None,
        now,
        None,
        None,
    )
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, wanted)
        if made_before is None and await batches.insert_batch(tx, batch):
            await _reserve(tx, batch)
        else:
            batch = await _made_before(tx, batch)
        await creation.created(tx, caller, batch.batch_id)
        totals = await batches.totals(tx.sql, [batch.batch_id])
    return batch_view(batch, totals[batch.batch_id])


async def _made_before(tx: Tx, batch: Batch) -> Batch:
    """The batch of this key, also if the key itself is forgotten."""
    found = await batches.load_batch(tx.sql, batch.batch_id)
    if found is None or (found.jurisdiction, found.month) != (batch.jurisdiction, batch.month):
        raise Conflict("this Idempotency-Key made another batch", code="idempotency_key_reused")
    return found


async def _reserve(tx: Tx, batch: Batch) -> None:
    positions = await ledger.lock_payable(tx, batch.jurisdiction, batch.month, LINES_MAX)
    if not positions:
        raise Conflict("nothing is owed that is not paid or in another batch", code="nothing_to_pay")
    changes = Changes()
    lines = [reserve(position, batch.month, batch.batch_id, changes) for position in positions]
    await batches.insert_lines(tx, batch.batch_id, lines)
    await ledger.save_changes(tx, changes, batch.created_at)
    for position, line in zip(positions, lines, strict=True):
        event = announce(PaymentReserved, line, batch.batch_id, batch.month)
        # the chain goes on: the event that made the money due
        tx.emit(event, position.cause_event_id, division=position.jurisdiction)
