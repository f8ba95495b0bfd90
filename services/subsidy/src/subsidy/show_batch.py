"""Show batches, and write the file for the bank."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final, Literal

import asyncpg
from common.calendar import month_text, parse_month
from common.errors import Conflict
from common.money import yuan
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from shell.audit import audits
from shell.http.answers import Limit
from shell.service import Db

from subsidy.scope import OfficerOrApprover, Reader, areas_to_list, visible
from subsidy.shapes import (
    AreaCode,
    BatchOut,
    BatchPageOut,
    BatchWithLinesOut,
    LineOut,
    MonthText,
    Uuid,
    batch_out,
)
from subsidy.store import batches
from subsidy.store.batches import Batch, LineDetail

router = APIRouter(tags=["batches"])
_IN_BANK_FILE: Final = ("ordered", "settled", "returned")
_PAGE: Final = 5_000


@router.get("/v1/batches", summary="List batches")
async def list_batches(
    db: Db,
    caller: Reader,
    month: Annotated[MonthText | None, Query()] = None,
    jurisdiction: Annotated[AreaCode | None, Query()] = None,
    state: Literal["reserved", "submitted", "approved", "rejected"] | None = None,
    after: Uuid | None = None,
    limit: Limit = 100,
) -> BatchPageOut:
    """Batches of the caller's area, in the order of their ids."""
    areas = areas_to_list(caller, jurisdiction)
    month_day = parse_month(month) if month else None
    async with db.reading() as connection:
        found = await batches.list_batches(connection, areas, month_day, state, after, limit)
        page = await _with_totals(connection, found)
    return BatchPageOut(batches=page, next=page[-1].batch_id if len(page) == limit else None)


async def _with_totals(connection: asyncpg.Connection, found: Sequence[Batch]) -> list[BatchOut]:
    totals = await batches.sum_lines(connection, [batch.batch_id for batch in found])
    return [batch_out(batch, totals.get(batch.batch_id, [])) for batch in found]


@router.get("/v1/batches/{batch_id}", summary="A batch with its lines")
async def show_batch(
    batch_id: Uuid, db: Db, caller: Reader, after: Uuid | None = None, limit: Limit = 500
) -> BatchWithLinesOut:
    async with db.transaction() as tx:
        [head] = await _with_totals(tx.sql, [visible(caller, await batches.load_batch(tx.sql, batch_id))])
        details = await batches.list_lines(tx.sql, batch_id, None, after, limit)
        await audits.append(tx, caller, act="read", purpose="batch", cause=batch_id, person_ids=_people(details))
    lines = [LineOut.of(line) for line in details]
    next_ = lines[-1].line_id if len(lines) == limit else None
    return BatchWithLinesOut(**head.model_dump(), lines=lines, next=next_)


@router.get("/v1/batches/{batch_id}/bank-file", summary="The file for the bank", response_class=PlainTextResponse)
async def bank_file(batch_id: Uuid, db: Db, caller: OfficerOrApprover) -> PlainTextResponse:
    """CSV of an approved batch with one ordered payment per row. Lines that the bank has settled or returned stay in
    the file, so each download is the same. Send it to the bank once; a second order could pay twice. A bank return
    refers to `line_id`. The file contains no names and no accounts. Ingestion reveals the account of a `person_id`
    (`POST /v1/vault/reveal`, purpose `bank_file`, audited).
    """
    rows: list[str] = ["line_id,person_id,item,jurisdiction,service_month,kind,amount_fen,amount_yuan"]
    async with db.transaction() as tx:
        batch = visible(caller, await batches.load_batch(tx.sql, batch_id))
        if batch.state != "approved":
            raise Conflict(f"the batch is {batch.state}", code="batch_not_approved")
        async for page in _lines_for_bank(tx.sql, batch_id):
            rows += map(_csv, page)
            await audits.append(tx, caller, act="export", purpose="bank_file", cause=batch_id, person_ids=_people(page))
    name = f"{batch.jurisdiction}-{month_text(batch.month)}-{batch_id}.csv"
    return PlainTextResponse(
        "\r\n".join(rows) + "\r\n",
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _lines_for_bank(connection: asyncpg.Connection, batch_id: str) -> AsyncIterator[list[LineDetail]]:
    """Yield the lines of the file in pages."""
    after = None
    while page := await batches.list_lines(connection, batch_id, _IN_BANK_FILE, after, _PAGE):
        after = page[-1].line_id
        yield page


def _people(lines: Sequence[LineDetail]) -> list[str]:
    return sorted({line.person_id for line in lines})


def _csv(line: LineDetail) -> str:
    """Return a line as a row of the bank file. Every field is a code, id or number of ours, so it needs no quotes."""
    amount_yuan = yuan(line.amount_fen).replace(",", "")
    ids = f"{line.line_id},{line.person_id},{line.item},{line.jurisdiction}"
    return f"{ids},{month_text(line.service_month)},{line.kind},{line.amount_fen},{amount_yuan}"
