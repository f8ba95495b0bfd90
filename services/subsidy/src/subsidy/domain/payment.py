"""Change the state of one payment: reserve, order, release or settle it, or take it back from the bank."""

from datetime import date
from typing import Literal, NamedTuple, TypeVar

from common.calendar import month_text
from common.events import PaymentReserved

from subsidy.domain.ledger import BANK, PAYABLE, Changes, Kind, Line, Position
from subsidy.domain.recovery import reconcile

Refusal = Literal["not_ordered", "already_returned", "already_recovered"]
BankAnswer = Literal["settle", "give_back", "unchanged"] | Refusal
PaymentEvent = TypeVar("PaymentEvent", bound=PaymentReserved)


class LineChange(NamedTuple):
    """The new state of a line. None for `reason` or `settled_on` leaves the stored value."""

    line_id: str
    state: str
    reason: str | None = None
    settled_on: date | None = None


def reserve(position: Position, month: date, batch_id: str, changes: Changes) -> Line:
    """Reserve the payable amount of a position in a batch for `month`. Returns the line of the batch.

    Its kind is `reissue` after a return, `pay` for the first payment of `month`, else `back_pay`.
    """
    kind, amount_fen = _kind_of_payment(position, month), position.payable_fen
    position.open_fen, position.reissue = amount_fen, False
    changes.put(position)
    entry = changes.post(position, kind, PAYABLE, BANK, amount_fen, state="pending", batch_id=batch_id)
    return Line(entry.entry_id, *position.key, kind, entry.sequence, amount_fen, "reserved")


def _kind_of_payment(position: Position, month: date) -> Kind:
    if position.reissue:
        return "reissue"
    return "pay" if position.service_month == month and not position.paid_fen else "back_pay"


def payment_event(cls: type[PaymentEvent], line: Line, batch_id: str, month: date, **extra: date) -> PaymentEvent:
    """The event of class `cls` about a line of a batch for `month`."""
    return cls(
        person_id=line.person_id,
        entry_id=line.line_id,
        batch_id=batch_id,
        item=line.item,
        jurisdiction=line.jurisdiction,
        service_month=month_text(line.service_month),
        amount_fen=line.amount_fen,
        kind="pay" if _is_on_time(line, month) else "back_pay",
        **extra,
    )


def _is_on_time(line: Line, month: date) -> bool:
    """Whether events announce the line as `pay`: a first payment or a reissue for the batch's own month."""
    return line.kind == "pay" or (line.kind == "reissue" and line.service_month == month)


def order(position: Position, line: Line, changes: Changes) -> LineChange:
    """Order a reserved line, or take it out if it is no longer owed in full."""
    reason = _reason_against_order(position, line)
    if reason is None:
        return LineChange(line.line_id, "ordered")
    release(position, line, "held" if reason == "held" else "voided", changes)
    return LineChange(line.line_id, "taken_out", reason)


def release(position: Position, line: Line, entry_state: Literal["voided", "held"], changes: Changes) -> None:
    """Cancel a reservation that was not yet ordered."""
    position.open_fen = 0
    position.reissue = position.reissue or line.kind == "reissue"
    changes.put(position)
    changes.settle(line, entry_state)


def _reason_against_order(position: Position, line: Line) -> str | None:
    """Why a reserved line must not be ordered any more. None: it may be ordered."""
    if position.state != "due":
        return position.state
    if position.payable_fen < line.amount_fen:
        return "amount_lowered" if position.payable_fen else "no_longer_due"
    return None


def bank_answer(position: Position, line: Line, outcome: Literal["settled", "returned"]) -> BankAnswer:
    """Return the effect of a bank result on a line. A repeated result changes nothing."""
    if line.state == outcome:
        return "unchanged"
    if line.state == "ordered":
        return "settle" if outcome == "settled" else "give_back"
    if line.state == "returned":
        return "already_returned"
    if line.state == "settled":
        # already_recovered: the person has repaid the money, so the bank cannot return it too
        return "give_back" if position.paid_fen >= line.amount_fen else "already_recovered"
    return "not_ordered"


def settle(position: Position, line: Line, died_on: date | None, changes: Changes) -> None:
    """Post a payment that the bank has made."""
    position.open_fen = 0
    position.paid_fen += line.amount_fen
    changes.put(position)
    changes.settle(line, "posted")
    reconcile(position, died_on, changes)


def give_back(position: Position, line: Line, died_on: date | None, changes: Changes) -> None:
    """Book a payment that the bank returned: the payment stays posted, and the return is an entry of its own."""
    if line.state == "ordered":
        position.open_fen = 0
        changes.settle(line, "posted")
    else:
        position.paid_fen -= line.amount_fen
    position.reissue = True
    changes.put(position)
    changes.post(position, "return", BANK, PAYABLE, line.amount_fen)
    reconcile(position, died_on, changes)
