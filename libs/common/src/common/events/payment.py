"""Money, told to the other services: what is due, held, paid, to be recovered. Integer fen, months `YYYY-MM`."""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from common.events.base import Event


class DueLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one item owes one payee for one service month, and what is already paid of it."""

    item: str
    jurisdiction: str
    service_month: str
    amount_fen: int
    state: Literal["due", "held", "barred"]
    paid_fen: int = 0


class _Payment(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "subsidy.payment"

    person_id: str


class DuesDetermined(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """The lines that changed, with their new values; a line that is no longer owed has `amount_fen` 0."""

    entitlements_version: int
    lines: tuple[DueLine, ...]


class PaymentReserved(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    entry_id: str
    batch_id: str
    item: str
    jurisdiction: str
    service_month: str
    amount_fen: int
    kind: Literal["pay", "back_pay"]


class PaymentOrdered(PaymentReserved, frozen=True, kw_only=True, omit_defaults=True):
    """The batch was approved by a second person; the line goes to the bank."""


class PaymentSettled(PaymentReserved, frozen=True, kw_only=True, omit_defaults=True):
    settled_on: date


class RecoveryOpened(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """More was paid than is owed: these months are to be recovered. `recovery_id` is stable per key."""

    recovery_id: str
    item: str
    jurisdiction: str
    service_month: str
    amount_fen: int
    reason: str


class RecoveryClosed(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    recovery_id: str
    amount_fen: int
    outcome: Literal["collected", "withdrawn", "written_off"]
