"""Find adverse outcomes: a decision withholds an item, or gives less of it than the decision before.

The platform owes the person the reasons. An outcome is adverse if the item gives less on any day, past or future. It is
also adverse if the item is newly suppressed or suspended, or newly waits for a choice. A newly `unknown` item is
adverse only if it was granted before. Never adverse are days after death, and an item that continues under another
identity of the same human. The decision about the survivor has the adverse outcomes of a merge.
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
    """An adverse outcome of one item. `on`: the first day on which the item gives less or nothing."""

    item: str
    on: date
    outcome: AdverseOutcome


def adverse_of(
    before: Sequence[Entitlement], now: Sequence[Entitlement], changed: Sequence[str], died_on: date | None
) -> list[Adverse]:
    """Return for each adverse item the first day on which `now` gives less than `before` or begins to withhold it.

    `changed`: the items in which the two timelines may differ, sorted.
    """
    old, new = _by_item(before, changed), _by_item(now, changed)
    found = []
    for item in changed:
        days = [*_days_of_less(old[item], new[item]), *_days_of_withholding(old[item], new[item])]
        day = min(days, default=None)
        if day is not None and (died_on is None or day <= died_on):
            found.append(Adverse(item, day, _outcome(_on(new[item], day))))
    return found


def _by_item(entitlements: Sequence[Entitlement], items: Sequence[str]) -> dict[str, list[Entitlement]]:
    found: dict[str, list[Entitlement]] = {item: [] for item in items}
    for e in entitlements:
        if e.item in found:
            found[e.item].append(e)
    return found


def _days_of_less(before: Sequence[Entitlement], now: Sequence[Entitlement]) -> list[date]:
    """Return for each interval granted before the first day on which the item gives less, if there is one."""
    days = []
    for old in before:
        if old.state != "granted":
            continue
        day, end = old.from_, old.to or FAR_FUTURE
        while day < end and (new := _on(now, day)) is not None and _gives_as_much(old, new):
            day = new.to or FAR_FUTURE
        if day < end:
            days.append(day)
    return days


def _days_of_withholding(before: Sequence[Entitlement], now: Sequence[Entitlement]) -> list[date]:
    """Return the first days of intervals that `now` withholds, if the state of that day was different before."""
    days = []
    for new in now:
        if new.state in _WITHHELD:
            old = _on(before, new.from_)
            if old is None or old.state != new.state:
                days.append(new.from_)
    return days


def _on(entitlements: Sequence[Entitlement], day: date) -> Entitlement | None:
    return next((e for e in entitlements if e.from_ <= day and (e.to is None or day < e.to)), None)


def _gives_as_much(old: Entitlement, new: Entitlement) -> bool:
    """Whether an interval gives at least the same money, and visits at least as often."""
    if new.state != "granted" or not _visits_as_often(old, new):
        return False
    return (new.amount_fen_per_month or 0) >= (old.amount_fen_per_month or 0)


def _visits_as_often(old: Entitlement, new: Entitlement) -> bool:
    if old.interval_days is None:
        return True
    return new.interval_days is not None and new.interval_days <= old.interval_days


def _outcome(new: Entitlement | None) -> AdverseOutcome:
    if new is None or new.state == "unknown":
        return "refused"
    return "less" if new.state == "granted" else new.state
