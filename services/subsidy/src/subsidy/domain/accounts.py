"""The account of one person. It holds the part of a decision that concerns money, and computes the dues from it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
from common.events import Entitlement, EntitlementsDecided
from rules.money.due import Due, due, next_change

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[Entitlement, ...]).decode
_PAYING_STATES: Final = ("granted", "suspended")
NO_MONEY: Final = b""


class Account(NamedTuple):
    """A row of `accounts` (see `tables.AccountRow`), in the order of its columns.

    `entitlements`: as `cash_part` returns them.
    """

    person_id: str
    version: int
    digest: bytes
    entitlements: bytes
    died_on: date | None
    through_month: date
    next_change_month: date | None
    merged_into: str | None
    cause_event_id: str | None

    def intervals(self) -> tuple[Entitlement, ...]:
        """The entitlement intervals of the stored cash part, decoded."""
        return _decode(self.entitlements) if self.entitlements else ()

    def dues(
        self, rules: "Rules", intervals: Sequence[Entitlement], through_month: date | None = None
    ) -> tuple[Due, ...]:
        """All dues of service months up to `through_month`, by default the account's (see `rules.money.due`).

        `intervals`: those of the account, since a caller often needs them more than once.
        """
        through = through_month or self.through_month
        return due(intervals, through_month=through, died_on=self.died_on, demo=rules.demo, pay_from=rules.first_months)

    def next_change(self, intervals: Sequence[Entitlement], after_month: date) -> date | None:
        """The first month after `after_month` that can add dues; None if no later month can."""
        return next_change(intervals, after_month=after_month, died_on=self.died_on)


class Rules(NamedTuple):
    """How this ledger computes dues: its first service month by area (`*`: any other), and demonstration or not."""

    first_months: Mapping[str, date]
    demo: bool


def cash_part(decided: EntitlementsDecided) -> bytes:
    """The intervals that can owe money, as JSON with only the fields that dues depend on. Empty if there is none."""
    paying = [_money_fields(e) for e in decided.entitlements if e.kind == "cash" and e.state in _PAYING_STATES]
    return _encode(paying) if paying else NO_MONEY


def _money_fields(e: Entitlement) -> Entitlement:
    return Entitlement(
        entitlement_id=e.entitlement_id,
        item=e.item,
        jurisdiction=e.jurisdiction,
        kind=e.kind,
        state=e.state,
        from_=e.from_,
        to=e.to,
        amount_fen_per_month=e.amount_fen_per_month,
        pay=e.pay,
        policy=e.policy,
        policy_status=e.policy_status,
    )


def digest(cash: bytes, decided: EntitlementsDecided) -> bytes:
    """Return a digest of the parts of a decision that dues depend on. Equal digests mean equal dues.

    The digest is `NO_MONEY` for a person without money who has no other identity.
    """
    if not cash and decided.merged_into is None and not decided.aliases:
        return NO_MONEY
    return blake2b(b"%b|%b" % (cash, _person_part(decided).encode()), digest_size=16).digest()


def _person_part(decided: EntitlementsDecided) -> str:
    """The death and the identities, as text: without aliases it ends after the survivor."""
    text = f"{decided.died_on}|{decided.merged_into}"
    return f"{text}|{','.join(decided.aliases)}" if decided.aliases else text


def survivors_of(accounts: Iterable[Account]) -> set[str]:
    """The identities into which these accounts are merged."""
    return {account.merged_into for account in accounts if account.merged_into}
