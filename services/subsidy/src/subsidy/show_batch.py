"""Look at batches, and the file the bank is given."""

from typing import Annotated, Any, Final, Literal

import asyncpg
from common.calendar import month_text
from common.errors import Conflict, NotFound
from common.money import yuan
from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.service import Db

from subsidy.shapes import AreaCode, BatchView, MonthText, Uuid, areas_of, batch_view, month_or_none
from subsidy.store import batches
from subsidy.store.batches import Batch

router = APIRouter(tags=["batches"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]
_TO_THE_BANK: Final = ("ordered", "settled", "returned")
_PAGE: Final = 5_000


class LineView(BaseModel):
    line_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: MonthText
    kind: str = Field(description="pay, back_pay or reissue")
    amount_fen: int
    state: str = Field(description="reserved, ordered, settled, returned, taken_out or rejected")
    reason: str | None = Field(description="why it was taken out, or what the bank said")
    settled_on: str | None


class BatchWithLines(BatchView):
    lines: list[LineView]
    next: str | None


class BatchPage(BaseModel):
    batches: list[BatchView]
    next: str | None


@router.get("/v1/batches", summary="List batches")
async def list_batches(
    db: Db,
    caller: Reader,
    month: Annotated[MonthText | None, Query()] = None,
    jurisdiction: Annotated[AreaCode | None, Query()] = None,
    state: Literal["reserved", "submitted", "approved", "rejected"] | None = None,
    after: Uuid | None = None,
    limit: Limit = 100,
) -> BatchPage:
    """Those of the caller's area, in the order of their ids."""
    if jurisdiction is not None:
        caller.need_area(jurisdiction)
    areas = [jurisdiction] if jurisdiction else areas_of(caller)
    async with db.reading() as connection:
        found = await batches.list_batches(connection, areas, month_or_none(month), state, after, limit)
        totals = await batches.totals(connection, [batch.batch_id for batch in found])
    return BatchPage(
        batches=[batch_view(batch, totals.get(batch.batch_id, [])) for batch in found],
        next=found[-1].batch_id if len(found) == limit else None,
    )


@router.get("/v1/batches/{batch_id}", summary="A batch with its lines")
async def show_batch(
    batch_id: Uuid, db: Db, caller: Reader, after: Uuid | None = None, limit: Limit = 500
) -> BatchWithLines:
    async with db.reading() as connection:
        batch = await _load(connection, batch_id, caller)
        totals = await batches.totals(connection, [batch_id])
        rows = await batches.list_lines(connection, batch_id, None, after, limit)
    lines = [_line_view(row) for row in rows]
    view = batch_view(batch, totals.get(batch_id, []))
    return BatchWithLines(**view.model_dump(), lines=lines, next=lines[-1].line_id if len(lines) == limit else None)


@router.get("/v1/batches/{batch_id}/bank-file", summary="The file for the bank", response_class=PlainTextResponse)
async def bank_file(
    batch_id: Uuid, db: Db, caller: Annotated[Caller, Depends(require("officer", "approver"))]
) -> PlainTextResponse:
    """CSV of an approved batch, one payment a row, `line_id` being what a bank return refers to. It names nobody: the
    account of each `person_id` lies in the vault of ingestion and is joined there (`POST /v1/vault/reveal`, audited)
    when the file is handed to the bank.
    """
    rows: list[str] = ["line_id,person_id,item,jurisdiction,service_month,kind,amount_fen,amount_yuan"]
    async with db.reading() as connection:
        batch = await _load(connection, batch_id, caller)
        if batch.state != "approved":
            raise Conflict(f"the batch is {batch.state}", code="batch_not_approved")
        after = None
        while page := await batches.list_lines(connection, batch_id, _TO_THE_BANK, after, _PAGE):
            after = page[-1]["line_id"]
            rows += [_csv(row) for row in page]
    name = f"{batch.jurisdiction}-{month_text(batch.month)}-{batch_id}.csv"
    return PlainTextResponse(
        "\r\n".join(rows) + "\r\n",
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _load(connection: asyncpg.Connection, batch_id: str, caller: Caller) -> Batch:
    batch = await batches.load_batch(connection, batch_id)
    if batch is None or not caller.may_see(batch.jurisdiction):
        raise NotFound("no such batch")
    return batch


def _line_view(row: dict[str, Any]) -> LineView:
    on = row["settled_on"]
    plain = {**row, "service_month": month_text(row["service_month"]), "settled_on": on and on.isoformat()}
    return LineView(**{name: plain[name] for name in LineView.model_fields})


def _csv(row: dict[str, Any]) -> str:
    """Every field is one of our own codes, ids or numbers: nothing needs quoting."""
    amount = yuan(row["amount_fen"]).replace(",", "")
    month = month_text(row["service_month"])
    ids = f"{row['line_id']},{row['person_id']},{row['item']},{row['jurisdiction']}"
    return f"{ids},{month},{row['kind']},{row['amount_fen']},{amount}"
