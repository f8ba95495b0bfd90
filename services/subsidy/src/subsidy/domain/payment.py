"""A payment from promise to bank and back: reserved, released, settled, returned."""

from datetime import date
from typing import Literal, NamedTuple, TypeVar

from common.calendar import month_text
from common.events import PaymentReserved

from subsidy.domain.ledger import BANK, PAYABLE, Changes, Key, Kind, Position, Settling, posting
from subsidy.domain.recovery import reconcile

BankAnswer = Literal["settle", "give_back", "unchanged", "not_ordered", "already_returned", "already_recovered"]
Announced = TypeVar("Announced", bound=PaymentReserved)


class Line(NamedTuple):
    """One payment of a batch."""

    line_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    amount_fen: int
    state: str

    @property
    def key(self) -> Key:
        return self.person_id, self.item, self.jurisdiction, self.service_month


def reserve(position: Position, month: date, batch_id: str, changes: Changes) -> Line:
    """Promise what is payable: the batch's own month is `pay`, what is late `back_pay`, what came back `reissue`."""
    kind: Kind = "pay" if position.service_month == month and not position.paid_fen else "back_pay"
    if position.reissue:
        kind = "reissue"
    amount_fen = position.payable_fen
    entry = posting(position, kind, PAYABLE, BANK, amount_fen, state="pending", batch_id=batch_id)
    position.open_fen, position.reissue = amount_fen, False
    changes.positions[position.key] = position
    changes.postings.append(entry)
    return Line(entry.entry_id, *position.key, kind, entry.sequence, amount_fen, "reserved")


def announce(cls: type[Announced], line: Line, batch_id: str, month: date, **more: date) -> Announced:
    """What the other services hear of a line: paid again after a return is paid for its month all the same."""
    on_time = line.kind == "pay" or (line.kind == "reissue" and line.service_month == month)
    return cls(
        person_id=line.person_id,
        entry_id=line.line_id,
        batch_id=batch_id,
        item=line.item,
        jurisdiction=line.jurisdiction,
        service_month=month_text(line.service_month),
        amount_fen=line.amount_fen,
        kind="pay" if on_time else "back_pay",
        **more,
    )


def release(position: Position, line: Line, entry_state: Literal["voided", "held"], changes: Changes) -> None:
    """The promise is taken back before the bank has heard of it."""
    position.open_fen = 0
    position.reissue = position.reissue or line.kind == "reissue"
    changes.positions[position.key] = position
    changes.settlings.append(_settling(line, entry_state))


def out_of_batch(position: Position, line: Line) -> str | None:
    """Why a reserved line may not be ordered any more; None: it may."""
    if position.state != "due":
        return position.state
    if position.payable_fen < line.amount_fen:
        return "amount_lowered" if position.payable_fen else "no_longer_due"
    return None


def bank_answer(position: Position, line: Line, outcome: Literal["settled", "returned"]) -> BankAnswer:
    """What the bank's word does to a line: a file that comes twice changes nothing the second time."""
    if line.state == outcome:
        return "unchanged"
    if line.state == "ordered":
        return "settle" if outcome == "settled" else "give_back"
    if line.state == "returned":
        return "already_returned"
    if line.state == "settled":
        # the money cannot come back from the person and from the bank as well
        return "give_back" if position.paid_fen >= line.amount_fen else "already_recovered"
    return "not_ordered"


def settle(position: Position, line: Line, died_on: date | None, changes: Changes) -> None:
    """The bank has paid."""
    position.open_fen = 0
    position.paid_fen += line.amount_fen
    changes.positions[position.key] = position
    changes.settlings.append(_settling(line, "posted"))
    reconcile(position, died_on, changes)


def give_back(position: Position, line: Line, died_on: date | None, changes: Changes) -> None:
    """The bank has sent the money back: it had left (the payment stands) and returned (an entry of its own)."""
    if line.state == "ordered":
        position.open_fen = 0
        changes.settlings.append(_settling(line, "posted"))
    else:
        position.paid_fen -= line.amount_fen
    position.reissue = True
    changes.positions[position.key] = position
    changes.postings.append(posting(position, "return", BANK, PAYABLE, line.amount_fen))
    reconcile(position, died_on, changes)


def _settling(line: Line, state: str) -> Settling:
    return Settling(*line.key, line.kind, line.sequence, state)
