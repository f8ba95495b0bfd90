"""One person's account: the part of a decision that concerns money, and the dues that follow from it."""

from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
from common.events import Entitlement, EntitlementsDecided
from rules.money.due import Due, due

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[Entitlement, ...]).decode
_PAYING_STATES: Final = ("granted", "suspended")
NO_MONEY: Final = b""


class Account(NamedTuple):
    """A row of `accounts`, in the order of its columns. `entitlements`: as `cash_part` returns them."""

    person_id: str
    version: int
    digest: bytes
    entitlements: bytes
    died_on: date | None
    through_month: date
    next_change_month: date | None
    merged_into: str | None
    cause_event_id: str | None


class Rules(NamedTuple):
    """How this ledger computes dues: its first service month by area (`*`: any other), and demonstration or not."""

    first_months: Mapping[str, date]
    demo: bool


def cash_part(decided: EntitlementsDecided) -> bytes:
    """The intervals that can owe money, as JSON with only the fields that dues depend on. Empty if there is none."""
    paying = [e for e in decided.entitlements if e.kind == "cash" and e.state in _PAYING_STATES]
    return _encode([_money_fields(e) for e in paying]) if paying else NO_MONEY


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
    """Equal digests mean equal dues. A person without money and without merged identities has `NO_MONEY`."""
    merged_into, aliases = decided.merged_into, decided.aliases
    if not cash and merged_into is None and not aliases:
        return NO_MONEY
    rest = f"{decided.died_on}|{merged_into}|{','.join(aliases)}" if aliases else f"{decided.died_on}|{merged_into}"
    return blake2b(b"%b|%b" % (cash, rest.encode()), digest_size=16).digest()


def intervals(cash: bytes) -> tuple[Entitlement, ...]:
    """The entitlement intervals of a stored cash part."""
    return _decode(cash) if cash else ()


def dues_through(
    entitlements: Sequence[Entitlement], through_month: date, died_on: date | None, rules: Rules
) -> tuple[Due, ...]:
    """All dues of service months up to `through_month` (see `rules.money.due`)."""
    return due(entitlements, through_month=through_month, died_on=died_on, demo=rules.demo, pay_from=rules.first_months)
