"""Events about money: amounts due, held, paid and to be recovered. Amounts are integer fen, months are `YYYY-MM`."""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from common.events.base import Event


class DueLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The amount of one item for one payee and service month, and the part that is paid."""

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
    """The changed lines with their new values. A line that is not owed any more has `amount_fen` 0."""

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
    """A second person has approved the payment batch, so this payment goes to the bank."""


class PaymentSettled(PaymentReserved, frozen=True, kw_only=True, omit_defaults=True):
    settled_on: date


class RecoveryOpened(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """More was paid than owed for a month: `amount_fen` is the excess to recover. Each person, item, area and month has
    one `recovery_id`. After a change of the excess, the recovery is closed and opened again with the same id."""

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
