"""Take the bank's results about lines (payments of a batch): a line was paid, or the money came back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from common.events import PaymentSettled
from fastapi import APIRouter
from shell import clock
from shell.access.auth import Caller
from shell.access.route_marks import limits_body
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Key, Line, Position
from subsidy.domain.payment import LineChange, bank_answer, give_back, payment_event, settle
from subsidy.scope import Officer
from subsidy.shapes import BankResultIn, BankReturnIn, BankReturnOut, RefusedLineOut
from subsidy.store import accounts, batches, ledger

BODY_BYTES_MAX: Final = 1024 * 1024
router = APIRouter(tags=["bank"])


class _Result(NamedTuple):
    """A result of the bank with its line and the line's batch."""

    result: BankResultIn
    line: Line
    batch_id: str


@router.post("/v1/bank-returns", summary="Take in the bank's results of ordered lines")
@limits_body(BODY_BYTES_MAX)
async def take_bank_return(bank_return: BankReturnIn, db: Db, caller: Officer) -> BankReturnOut:
    """A settled line is posted. If less is owed by then, the overpaid amount becomes a recovery. A returned line is
    posted, and a second entry books its return. The next batch pays the amount that is still due as `reissue`. If one
    call has two results for a line, the last one is used. A line returned by an earlier call cannot become settled.
    `refused` lists the lines that cannot take their result; all others are done.
    """
    results = {result.line_id: result for result in bank_return.lines}
    async with db.transaction() as tx:
        known = await _lock_known(tx, results, caller)
        unknown = [RefusedLineOut(line_id=id_, code="unknown_line") for id_ in results if id_ not in known]
        answer = BankReturnOut(settled=0, returned=0, unchanged=0, refused=unknown)
        await _apply(tx, list(known.values()), answer)
        people = sorted({result.line.person_id for result in known.values()})
        await audits.append(tx, caller, act="import", purpose="bank_return", person_ids=people)
    return answer


async def _lock_known(tx: Tx, results: Mapping[str, BankResultIn], caller: Caller) -> dict[str, _Result]:
    """Lock the lines that have a result and lie in the caller's area. Returns their results by line id."""
    known: dict[str, _Result] = {}
    for line_id, (line, batch_id) in (await batches.lock_lines_by_id(tx, sorted(results))).items():
        if caller.may_see(line.jurisdiction):
            known[line_id] = _Result(results[line_id], line, batch_id)
    return known


async def _apply(tx: Tx, results: Sequence[_Result], answer: BankReturnOut) -> None:
    settlement = await _load_settlement(tx, results, answer)
    for result in results:
        settlement.apply(*result)
    await batches.change_lines(tx, settlement.line_changes)
    await ledger.save_changes(tx, settlement.changes, clock.now())


async def _load_settlement(tx: Tx, results: Sequence[_Result], answer: BankReturnOut) -> "_Settlement":
    """Lock the positions of the lines, then load deaths and months, so that no death is recorded in between."""
    positions = await ledger.lock_keys(tx, [result.line.key for result in results])
    deaths = await accounts.load_deaths(tx, [result.line.person_id for result in results])
    months = await batches.load_months(tx, sorted({result.batch_id for result in results}))
    return _Settlement(tx, positions, deaths, months, answer)


@dataclass(slots=True)
class _Settlement:
    """Applies the results of one call. `deaths`: day of death by person id. `months`: month by batch id.

    `positions`: the locked positions of the lines.
    """

    tx: Tx
    positions: Mapping[Key, Position]
    deaths: Mapping[str, date]
    months: Mapping[str, date]
    answer: BankReturnOut
    changes: Changes = field(default_factory=Changes)
    line_changes: list[LineChange] = field(default_factory=list)

    def apply(self, result: BankResultIn, line: Line, batch_id: str) -> None:
        position = self.positions[line.key]
        match bank_answer(position, line, result.outcome):
            case "unchanged":
                self.answer.unchanged += 1
            case "settle":
                self._settle(position, line, result, batch_id)
            case "give_back":
                self._give_back(position, line, result)
            case refusal:
                self.answer.refused.append(RefusedLineOut(line_id=line.line_id, code=refusal))
        for recovery in self.changes.take_events():
            self.tx.emit(recovery, position.cause_event_id, division=line.jurisdiction)

    def _settle(self, position: Position, line: Line, result: BankResultIn, batch_id: str) -> None:
        self.answer.settled += 1
        settled_on = result.settled_on or clock.today()
        self.line_changes.append(LineChange(line.line_id, "settled", result.reason, settled_on))
        settle(position, line, self.deaths.get(line.person_id), self.changes)
        event = payment_event(PaymentSettled, line, batch_id, self.months[batch_id], settled_on=settled_on)
        self.tx.emit(event, position.cause_event_id, division=line.jurisdiction)

    def _give_back(self, position: Position, line: Line, result: BankResultIn) -> None:
        self.answer.returned += 1
        self.line_changes.append(LineChange(line.line_id, "returned", result.reason))
        give_back(position, line, self.deaths.get(line.person_id), self.changes)
