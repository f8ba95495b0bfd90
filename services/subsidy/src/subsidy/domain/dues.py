"""Bring the positions (balances, see `ledger`) of a person to the dues that follow from a decision."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from common.events import DueLine
from rules.money.due import Due

from subsidy.domain.ledger import EXPENSE, PAYABLE, Changes, Key, Position
from subsidy.domain.recovery import reconcile

_Aliases = Mapping[str, Mapping[Key, Position]]


class Basis(NamedTuple):
    """The grounds of a change. `paid_twice`: items and months that were paid more than once to the person."""

    cause_event_id: str | None
    died_on: date | None
    paid_twice: Collection[tuple[str, date]] = ()


def decide_dues(
    person_id: str, wanted: Iterable[Due], stored: Mapping[Key, Position], basis: Basis, changes: Changes
) -> list[DueLine]:
    """Bring the positions of one person to the wanted dues. Returns the lines that changed.

    `stored`: the person's positions. A stored position without a wanted due gets the amount 0.
    """
    lines: list[DueLine] = []
    seen: set[Key] = set()
    for line in wanted:
        key = key_of(person_id, line)
        seen.add(key)
        position = _position_to_change(stored.get(key), key, line)
        if position is not None:
            lines.append(_change(position, line.amount_fen, line.state, basis, changes))
    for key, position in stored.items():
        if key not in seen and not position.is_zero:
            lines.append(_change(position, 0, "due", basis, changes))
    return lines


def _position_to_change(stored: Position | None, key: Key, line: Due) -> Position | None:
    """Return the position that a due changes; None if amount and state agree. A position without money gets the fund
    of the due."""
    if stored is None:
        return Position(*key, fund=line.fund)
    if stored.amount_fen == line.amount_fen and stored.state == line.state:
        return None
    if not stored.has_money:
        stored.fund = line.fund
    return stored


def key_of(person_id: str, line: Due) -> Key:
    """Return the key of the position that a due of this person changes."""
    return person_id, line.item, line.jurisdiction, line.service_month


def _change(position: Position, amount_fen: int, state: str, basis: Basis, changes: Changes) -> DueLine:
    """Give a position its new amount and state, post the difference, and adjust the recovery."""
    before = position.owed_fen
    position.amount_fen, position.state, position.cause_event_id = amount_fen, state, basis.cause_event_id
    _post_difference(position, position.owed_fen - before, changes)
    changes.put(position)
    twice = (position.item, position.service_month) in basis.paid_twice
    reconcile(position, basis.died_on, changes, twice=twice)
    return position.line()


def _post_difference(position: Position, difference_fen: int, changes: Changes) -> None:
    if difference_fen > 0:
        changes.post(position, "due", EXPENSE, PAYABLE, difference_fen)
    elif difference_fen < 0:
        changes.post(position, "due", PAYABLE, EXPENSE, -difference_fen)


def share(wanted: Sequence[Due], person_id: str, aliases: _Aliases) -> dict[str, list[Due]]:
    """Divide the dues of a person among the identities under which they were paid. Returns the dues by identity.

    An alias receives the amount paid or reserved under it, at most the due. `person_id` receives what remains.
    """
    shares: dict[str, list[Due]] = {person_id: list(wanted)}
    for alias, positions in aliases.items():
        shares[alias], shares[person_id] = _split(shares[person_id], alias, positions)
    return shares


def _split(lines: Iterable[Due], alias: str, positions: Mapping[Key, Position]) -> tuple[list[Due], list[Due]]:
    """Return the parts of the dues that were paid or reserved under the alias, and the remaining parts."""
    used: list[Due] = []
    rest: list[Due] = []
    for line in lines:
        used_fen = _used_fen(line, positions.get(key_of(alias, line)))
        if used_fen:
            used.append(line._replace(amount_fen=used_fen))
        if used_fen < line.amount_fen:
            rest.append(line._replace(amount_fen=line.amount_fen - used_fen))
    return used, rest


def _used_fen(line: Due, position: Position | None) -> int:
    """The part of a due that was paid or reserved in this position."""
    return min(line.amount_fen, position.paid_fen + position.open_fen) if position else 0


def paid_twice(identities: Iterable[Mapping[Key, Position]]) -> set[tuple[str, date]]:
    """Return the items and months that were paid more than once: under several identities, or by several areas.

    `identities`: the positions of each identity.
    """
    times: Counter[tuple[str, date]] = Counter()
    for positions in identities:
        times.update(_paid_months(positions))
    return {key for key, count in times.items() if count > 1}


def _paid_months(positions: Mapping[Key, Position]) -> list[tuple[str, date]]:
    return [(position.item, position.service_month) for position in positions.values() if position.paid_fen]
