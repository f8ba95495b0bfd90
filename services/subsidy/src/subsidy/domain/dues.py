"""From a decision about entitlements to what is owed: which part concerns money, and what it changes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Final

import msgspec
from common.events import DueLine, Entitlement, EntitlementsDecided
from rules.money.due import Due

from subsidy.domain.ledger import EXPENSE, PAYABLE, Changes, Key, Position, posting
from subsidy.domain.recovery import reconcile

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[Entitlement, ...]).decode
_PAYS: Final = ("granted", "suspended")
NO_MONEY: Final = b""


def cash_part(decided: EntitlementsDecided) -> bytes:
    """The intervals that can owe anything, as JSON without what does not bear on money; empty: none."""
    paying = [e for e in decided.entitlements if e.kind == "cash" and e.state in _PAYS]
    if not paying:
        return NO_MONEY
    return _encode(
        [
            Entitlement(
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
            for e in paying
        ]
    )


def digest(cash: bytes, decided: EntitlementsDecided) -> bytes:
    """Equal for two decisions between which no fen can move. Nothing to pay is nothing, dead or alive."""
    merged_into, aliases = decided.merged_into, decided.aliases
    if not cash and merged_into is None and not aliases:
        return NO_MONEY
    rest = f"{decided.died_on}|{merged_into}|{','.join(aliases)}" if aliases else f"{decided.died_on}|{merged_into}"
    return blake2b(b"%b|%b" % (cash, rest.encode()), digest_size=16).digest()


def intervals(cash: bytes) -> tuple[Entitlement, ...]:
    """The intervals of a stored cash part."""
    return _decode(cash) if cash else ()


def decide_dues(
    person_id: str,
    wanted: Iterable[Due],
    stored: Mapping[Key, Position],
    *,
    cause_event_id: str | None,
    died_on: date | None,
    changes: Changes,
    twice: Collection[tuple[str, date]] = (),
) -> list[DueLine]:
    """Bring the positions of one person to what is owed now; returns the lines that changed. `twice`: items and months
    that were paid under several identities of one human."""
    lines: list[DueLine] = []
    seen: set[Key] = set()
    for line in wanted:
        key = (person_id, line.item, line.jurisdiction, line.service_month)
        seen.add(key)
        position = stored.get(key)
        if position is None:
            position = Position(person_id, line.item, line.jurisdiction, line.service_month, fund=line.fund)
        elif (position.amount_fen, position.state) == (line.amount_fen, line.state):
            continue
        elif not (position.owed_fen or position.paid_fen or position.open_fen):
            position.fund = line.fund  # nothing of it stands in another fund
        lines.append(_move(position, line.amount_fen, line.state, cause_event_id, died_on, changes, twice))
    for key, position in stored.items():
        if key not in seen and (position.amount_fen or position.state != "due"):
            lines.append(_move(position, 0, "due", cause_event_id, died_on, changes, twice))
    return lines


def share(wanted: Sequence[Due], person_id: str, aliases: Mapping[str, Mapping[Key, Position]]) -> dict[str, list[Due]]:
    """What is owed to one person, laid to the identities under which they were paid: to an alias exactly what went to
    it or is on its way, the rest to `person_id`."""
    shares: dict[str, list[Due]] = {person_id: list(wanted), **{alias: [] for alias in aliases}}
    for alias, positions in aliases.items():
        left: list[Due] = []
        for line in shares[person_id]:
            position = positions.get((alias, line.item, line.jurisdiction, line.service_month))
            went = min(line.amount_fen, position.paid_fen + position.open_fen) if position else 0
            if went:
                shares[alias].append(line._replace(amount_fen=went))
            if went < line.amount_fen:
                left.append(line._replace(amount_fen=line.amount_fen - went))
        shares[person_id] = left
    return shares


def paid_twice(identities: Iterable[Mapping[Key, Position]]) -> set[tuple[str, date]]:
    """Items and months that more than one identity of a human was paid for."""
    paid = Counter((p.item, p.service_month) for held in identities for p in held.values() if p.paid_fen)
    return {key for key, times in paid.items() if times > 1}


def _move(
    position: Position,
    amount_fen: int,
    state: str,
    cause: str | None,
    died_on: date | None,
    changes: Changes,
    twice: Collection[tuple[str, date]],
) -> DueLine:
    before = position.owed_fen
    position.amount_fen, position.state, position.cause_event_id = amount_fen, state, cause
    more = position.owed_fen - before
    if more > 0:
        changes.postings.append(posting(position, "due", EXPENSE, PAYABLE, more))
    elif more < 0:
        changes.postings.append(posting(position, "due", PAYABLE, EXPENSE, -more))
    changes.positions[position.key] = position
    reconcile(position, died_on, changes, twice=(position.item, position.service_month) in twice)
    return position.line()
