"""Recovery of money that was paid beyond the amount owed: open, change, withdraw or close the case."""

from datetime import date
from typing import Literal

from common.calendar import month_of, month_text
from common.events import RecoveryClosed, RecoveryOpened
from common.message import derived_id

from subsidy.domain.ledger import BANK, LOSS, PAYABLE, Case, Changes, Outcome, Position, Settling


def recovery_id(position: Position) -> str:
    """Return the id of the position's recovery case. Each key has one case."""
    return derived_id("recovery", *position.id_parts)


def reconcile(position: Position, died_on: date | None, changes: Changes, *, twice: bool = False) -> None:
    """Bring the recovery case to the overpaid amount without the part that is written off.

    `twice`: the item was paid more than once for the month.
    """
    overpaid = max(0, position.paid_fen - position.amount_fen)
    if position.written_off_fen > overpaid:
        _reverse_write_off(position, overpaid, changes)
    wanted = overpaid - position.written_off_fen
    if wanted == position.recovering_fen:
        return
    if position.recovering_fen:
        _close(position, "withdrawn", changes)
    if wanted:
        _open(position, wanted, _recovery_reason(position, died_on, twice), changes)


def _reverse_write_off(position: Position, overpaid: int, changes: Changes) -> None:
    """Reduce a write-off to `overpaid` fen, because the month is owed again or the bank returned the payment."""
    restored = position.written_off_fen - overpaid
    changes.post(position, "write_off", PAYABLE, LOSS, restored)
    position.written_off_fen = overpaid


def _recovery_reason(position: Position, died_on: date | None, twice: bool) -> str:
    if died_on is not None and position.service_month >= month_of(died_on):
        return "died"
    if twice:
        return "paid_twice"
    return "amount_lowered" if position.amount_fen else "not_entitled"


def _open(position: Position, amount_fen: int, reason: str, changes: Changes) -> None:
    expected = changes.post(position, "recover", BANK, PAYABLE, amount_fen, state="pending")
    position.recovering_fen, position.recover_sequence = amount_fen, expected.sequence
    case = Case(recovery_id(position), *position.key, amount_fen, "open", reason, position.cause_event_id)
    changes.cases[case.recovery_id] = case
    changes.events.append(_opened(case))


def _opened(case: Case) -> RecoveryOpened:
    return RecoveryOpened(
        person_id=case.person_id,
        recovery_id=case.recovery_id,
        item=case.item,
        jurisdiction=case.jurisdiction,
        service_month=month_text(case.service_month),
        amount_fen=case.amount_fen,
        reason=case.reason,
    )


def close_recovery(position: Position, outcome: Literal["collected", "written_off"]) -> Changes:
    """Close an open case: the person repaid the money, or an approver wrote it off."""
    changes = Changes()
    changes.put(position)
    amount_fen = position.recovering_fen
    _close(position, outcome, changes)
    if outcome == "collected":
        position.paid_fen -= amount_fen
    else:
        position.written_off_fen += amount_fen
        changes.post(position, "write_off", LOSS, PAYABLE, amount_fen)
    return changes


def _close(position: Position, outcome: Outcome, changes: Changes) -> None:
    entry_state = "posted" if outcome == "collected" else "voided"
    changes.settlings.append(Settling(*position.key, "recover", position.recover_sequence, entry_state))
    opened = changes.cases.get(recovery_id(position))  # a stored case keeps its reason
    reason = opened.reason if opened else ""
    case = Case(recovery_id(position), *position.key, position.recovering_fen, outcome, reason, position.cause_event_id)
    changes.cases[case.recovery_id] = case
    changes.events.append(_closed(case, outcome))
    position.recovering_fen, position.recover_sequence = 0, 0


def _closed(case: Case, outcome: Outcome) -> RecoveryClosed:
    return RecoveryClosed(
        person_id=case.person_id, recovery_id=case.recovery_id, amount_fen=case.amount_fen, outcome=outcome
    )
