"""What a decision withholds or takes away: an automatic no, for which the person is owed reasons.

Whoever is given less on any day, past or future, than by the decision before, and whoever is newly suppressed, held or
asked to choose. A question to a department (`unknown`) is no answer yet, from the dead nothing is withheld, and what
goes on under another number of the same human is not taken away.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

import msgspec
from common.events import Entitlement
from rules.facts.timeline import FAR_FUTURE

AdverseOutcome = Literal["refused", "less", "suppressed", "choice_required", "suspended"]
_WITHHELD: Final = ("suppressed", "choice_required", "suspended")


class Adverse(msgspec.Struct, frozen=True):
    """`on`: the first day that the item is given less, or not."""

    item: str
    on: date
    outcome: AdverseOutcome


def adverse_of(
    before: Sequence[Entitlement], now: Sequence[Entitlement], changed: Sequence[str], died_on: date | None
) -> list[Adverse]:
    """The first day of every changed item on which `now` gives less than `before`, or begins to withhold.

    `changed`: the items in which the two timelines differ, sorted.
    """
    by_item: dict[str, tuple[list[Entitlement], list[Entitlement]]] = {item: ([], []) for item in changed}
    for side, entitlements in enumerate((before, now)):
        for e in entitlements:
            if e.item in by_item:
                by_item[e.item][side].append(e)
    found = []
    for item, (was, has) in by_item.items():
        day = min([*_taken(was, has), *_withheld(was, has)], default=None)
        if day is not None and (died_on is None or day <= died_on):
            found.append(Adverse(item, day, _outcome(_on(has, day))))
    return found


def _taken(was: Sequence[Entitlement], has: Sequence[Entitlement]) -> list[date]:
    """The first day of every interval given before on which as much is given no longer."""
    days = []
    for old in was:
        if old.state != "granted":
            continue
        day, end = old.from_, old.to or FAR_FUTURE
        while day < end and (new := _on(has, day)) is not None and _as_much(old, new):
            day = new.to or FAR_FUTURE
        if day < end:
            days.append(day)
    return days


def _withheld(was: Sequence[Entitlement], has: Sequence[Entitlement]) -> list[date]:
    """The beginnings of what is withheld now and was not before."""
    return [
        e.from_ for e in has if e.state in _WITHHELD and ((old := _on(was, e.from_)) is None or old.state != e.state)
    ]


def _on(entitlements: Sequence[Entitlement], day: date) -> Entitlement | None:
    for e in entitlements:
        if e.from_ <= day and (e.to is None or day < e.to):
            return e
    return None


def _as_much(old: Entitlement, new: Entitlement) -> bool:
    return (
        new.state == "granted"
        and (new.amount_fen_per_month or 0) >= (old.amount_fen_per_month or 0)
        and (old.interval_days is None or (new.interval_days or FAR_FUTURE.year) <= old.interval_days)
    )


def _outcome(new: Entitlement | None) -> AdverseOutcome:
    if new is None or new.state == "unknown":
        return "refused"
    return "less" if new.state == "granted" else new.state
