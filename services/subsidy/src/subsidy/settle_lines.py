"""What the bank answers: this line was paid, that one came back."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final, Literal

from common.events import PaymentSettled
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.http.params import Body, Day
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes
from subsidy.domain.payment import Line, announce, bank_answer, give_back, settle
from subsidy.shapes import Reason, Uuid
from subsidy.store import accounts, batches, ledger

RESULTS_MAX: Final = 5_000
BODY_BYTES_MAX: Final = 1024 * 1024
router = APIRouter(tags=["bank"])
_Moved = tuple[str, str, str | None, date | None]


class BankResult(Body):
    """`reason`: the bank's own words for a return (a closed account, a wrong name)."""

    line_id: Uuid
    outcome: Literal["settled", "returned"]
    settled_on: Day | None = Field(None, description="the bank's day; today when it is missing")
    reason: Reason | None = None


class BankReturn(Body):
    lines: list[BankResult] = Field(min_length=1, max_length=RESULTS_MAX)


class Refused(BaseModel):
    line_id: str
    code: Literal["unknown_line", "not_ordered", "already_returned", "already_recovered"]


class BankReturnView(BaseModel):
    """`unchanged`: lines that stood so already, since a bank sends a file twice."""

    settled: int
    returned: int
    unchanged: int
    refused: list[Refused]


@router.post("/v1/bank-returns", summary="Take in what the bank did with ordered lines")
@limits_body(BODY_BYTES_MAX)
async def take_bank_return(
    said: BankReturn, db: Db, caller: Annotated[Caller, Depends(require("officer"))]
) -> BankReturnView:
    """A settled line is posted; money paid meanwhile for a month that is no longer owed becomes a recovery. A returned
    line is posted and given back, and goes into the next batch as `reissue`. A line named twice counts once, by its
    last word. Lines that cannot take the outcome are listed in `refused`; the others are done.
    """
    results = {result.line_id: result for result in said.lines}
    view = BankReturnView(settled=0, returned=0, unchanged=0, refused=[])
    async with db.transaction() as tx:
        found = await batches.lock_lines_by_id(tx, sorted(results))
        known = {id_: entry for id_, entry in found.items() if caller.may_see(entry[0].jurisdiction)}
        view.refused += [Refused(line_id=id_, code="unknown_line") for id_ in results if id_ not in known]
        await _settle(tx, [(results[id_], *known[id_]) for id_ in known], view)
    return view


async def _settle(tx: Tx, said: Sequence[tuple[BankResult, Line, str]], view: BankReturnView) -> None:
    positions = await ledger.lock_keys(tx, [line.key for _, line, _ in said])
    deaths = await accounts.load_deaths(tx, [line.person_id for _, line, _ in said])
    months = await batches.load_months(tx, sorted({batch_id for _, _, batch_id in said}))
    changes, moved, today = Changes(), list[_Moved](), clock.today()
    for result, line, batch_id in said:
        position, died_on = positions[line.key], deaths.get(line.person_id)
        answer = bank_answer(position, line, result.outcome)
        if answer == "unchanged":
            view.unchanged += 1
        elif answer == "settle":
            view.settled += 1
            on = result.settled_on or today
            moved.append((line.line_id, "settled", result.reason, on))
            settle(position, line, died_on, changes)
            event = announce(PaymentSettled, line, batch_id, months[batch_id], settled_on=on)
            tx.emit(event, position.cause_event_id, division=line.jurisdiction)
        elif answer == "give_back":
            view.returned += 1
            moved.append((line.line_id, "returned", result.reason, None))
            give_back(position, line, died_on, changes)
        else:
            view.refused.append(Refused(line_id=line.line_id, code=answer))
        for recovery in changes.take_events():
            tx.emit(recovery, position.cause_event_id, division=line.jurisdiction)
    await batches.move_lines(tx, moved)
    await ledger.save_changes(tx, changes, clock.now())
