"""Bring the positions of a person to the dues that follow from a decision."""

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
    """The grounds of a change. `paid_twice`: items and months paid under several identities of the person."""

    cause_event_id: str | None
    died_on: date | None
    paid_twice: Collection[tuple[str, date]] = ()


def decide_dues(
    person_id: str, wanted: Iterable[Due], stored: Mapping[Key, Position], basis: Basis, changes: Changes
) -> list[DueLine]:
    """Bring the positions of one person to the wanted dues. Returns the lines that changed."""
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
        elif not position.has_money:
            position.fund = line.fund  # the position has no money in its former fund
        lines.append(_change(position, line.amount_fen, line.state, basis, changes))
    for key, position in stored.items():
        if key not in seen and not position.is_zero:
            lines.append(_change(position, 0, "due", basis, changes))
    return lines


def _change(position: Position, amount_fen: int, state: str, basis: Basis, changes: Changes) -> DueLine:
    """Give a position its new amount and state, post the difference, and adjust the recovery."""
    before = position.owed_fen
    position.amount_fen, position.state, position.cause_event_id = amount_fen, state, basis.cause_event_id
    difference = position.owed_fen - before
    if difference > 0:
        changes.post(position, "due", EXPENSE, PAYABLE, difference)
    elif difference < 0:
        changes.post(position, "due", PAYABLE, EXPENSE, -difference)
    changes.positions[position.key] = position
    twice = (position.item, position.service_month) in basis.paid_twice
    reconcile(position, basis.died_on, changes, twice=twice)
    return position.line()


def share(wanted: Sequence[Due], person_id: str, aliases: _Aliases) -> dict[str, list[Due]]:
    """Divide the dues of a person among the identities under which they were paid.

    An alias receives exactly the amount paid or reserved under it; `person_id` receives the rest.
    """
    shares: dict[str, list[Due]] = {person_id: list(wanted)}
    for alias, positions in aliases.items():
        shares[alias], shares[person_id] = _split(shares[person_id], alias, positions)
    return shares


def _split(lines: Iterable[Due], alias: str, positions: Mapping[Key, Position]) -> tuple[list[Due], list[Due]]:
    """The parts of `lines` paid or reserved under the alias, and the rest."""
    used: list[Due] = []
    rest: list[Due] = []
    for line in lines:
        position = positions.get((alias, line.item, line.jurisdiction, line.service_month))
        used_fen = min(line.amount_fen, position.paid_fen + position.open_fen) if position else 0
        if used_fen:
            used.append(line._replace(amount_fen=used_fen))
        if used_fen < line.amount_fen:
            rest.append(line._replace(amount_fen=line.amount_fen - used_fen))
    return used, rest


def paid_twice(identities: Iterable[Mapping[Key, Position]]) -> set[tuple[str, date]]:
    """Items and months that were paid under more than one of these identities."""
    times: Counter[tuple[str, date]] = Counter()
    for positions in identities:
        times.update((p.item, p.service_month) for p in positions.values() if p.paid_fen)
    return {key for key, count in times.items() if count > 1}
