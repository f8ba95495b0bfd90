"""Compute the effect of a change of lists on one person over some service months: money by `due`, services by days.

There are two sides: the entitlements before and after the change, decided from the same facts. Equal items cost almost
no time, so a simulation can process whole populations.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from math import lcm
from typing import Final, Literal, NamedTuple

import msgspec
from common.calendar import add_months
from common.events.entitlement import Entitlement

from rules.money.due import ANYWHERE, Due, due, example_of, owed_before

HAD: Final = ("granted", "suspended")
ASKED: Final = ("unknown", "choice_required")
_ONE_DAY: Final = timedelta(days=1)
_PARTS_OF_A_VISIT: Final = lcm(*range(1, 32))  # so that visits per day add up without fractions
What = Literal["gained", "lost", "more", "less", "asked", "suppressed"]


class Window(NamedTuple):
    """The service months from `first` to the one before `end`; both are the first day of a month. `demo`: as in `due`,
    money that depends on an example is paid."""

    first: date
    end: date
    demo: bool = False

    @classmethod
    def of(cls, first: date, months: int, *, demo: bool = False) -> "Window":
        """Return the window of a number of months. `first` may be any day of the first month."""
        first = first.replace(day=1)
        return cls(first, add_months(first, months), demo)

    @property
    def months(self) -> int:
        return (self.end.year - self.first.year) * 12 + self.end.month - self.first.month

    def meets(self, e: Entitlement) -> bool:
        """Whether an interval has days in the window."""
        return e.from_ < self.end and (e.to is None or self.first < e.to)


class Figures(NamedTuple):
    """Sums over persons: those with any change, and the money of those who get more or less in the window.

    `raised_fen` and `cut_fen` of different persons are not netted. They are compared with the band of a simulation.
    """

    people_changed: int = 0
    raised_fen: int = 0
    cut_fen: int = 0

    @property
    def net_fen(self) -> int:
        return self.raised_fen - self.cut_fen

    def plus(self, other: "Figures") -> "Figures":
        return Figures(*(a + b for a, b in zip(self, other, strict=True)))


_NOTHING: Final = Figures()


class Effect(NamedTuple):
    """The effect of a change of lists on one person.

    `before`, `after`: the lines of `due` in the window. `earlier`: the difference new − old in fen for months before
    the window, by area, fund and item. `changes`: (item, kind of change in the window). `gains`, `loses`: more or less
    money in total, in the window or before it, or more or less of a service; both may be true. `changed`: the
    entitlements differ, even if only in a clause."""

    before: Sequence[Due]
    after: Sequence[Due]
    earlier: dict[tuple[str, str, str], int]
    changes: tuple[tuple[str, What], ...] = ()
    gains: bool = False
    loses: bool = False
    changed: bool = False

    @property
    def figures(self) -> Figures:
        if not self.changed:
            return _NOTHING
        fen = payable_fen(self.after) - payable_fen(self.before)
        return Figures(1, max(fen, 0), max(-fen, 0))


def effect_of(
    before: Sequence[Entitlement], after: Sequence[Entitlement], window: Window, died_on: date | None = None
) -> Effect:
    """Return the effect on one person whose entitlements change from `before` to `after`.

    Both are sorted by item and period, as `decide` returns them.
    """
    lines = owed(before, window, died_on)
    if before == after:
        return Effect(lines, lines, {})
    sides = _differing(before, after)
    was, now = [e for one, _ in sides for e in one], [e for _, one in sides for e in one]
    differing = {e.item for e in (*was, *now)}
    lines_was, lines_now = [line for line in lines if line.item in differing], owed(now, window, died_on)
    had, has = _standings(was, lines_was, window), _standings(now, lines_now, window)
    effect = Effect(
        before=lines,
        after=[*(line for line in lines if line.item not in differing), *lines_now],
        earlier=_earlier(was, now, window, died_on),
        changes=_changes(had, has),
        changed=True,
    )
    cash = {item for item, standing in (has | had).items() if standing.is_cash}
    return _with_verdict(effect, payable_fen(lines_now) - payable_fen(lines_was), cash)


def _with_verdict(effect: Effect, fen: int, cash: Collection[str]) -> Effect:
    """Return the effect with `gains` and `loses`. `fen`: the difference in the window. `cash`: items that are money."""
    earlier_fen = sum(effect.earlier.values())
    services = {change for item, change in effect.changes if item not in cash}
    return effect._replace(
        gains=fen > 0 or earlier_fen > 0 or not services.isdisjoint(("gained", "more")),
        loses=fen < 0 or earlier_fen < 0 or not services.isdisjoint(("lost", "less")),
    )


def figures_of(
    before: Sequence[Entitlement], after: Sequence[Entitlement], window: Window, died_on: date | None = None
) -> Figures:
    """Return the figures of `effect_of` alone, which is faster. Items that are equal on both sides are skipped."""
    sides = _differing(before, after)
    if not sides:
        return _NOTHING
    fen = sum(_fen(now, window, died_on) - _fen(was, window, died_on) for was, now in sides)
    return Figures(1, max(fen, 0), max(-fen, 0))


def _differing(
    before: Sequence[Entitlement], after: Sequence[Entitlement]
) -> list[tuple[list[Entitlement], list[Entitlement]]]:
    """Return the intervals (before, after) of every item that differs."""
    items: dict[str, tuple[list[Entitlement], list[Entitlement]]] = {}
    for n, side in enumerate((before, after)):
        for e in side:
            items.setdefault(e.item, ([], []))[n].append(e)
    return [sides for sides in items.values() if sides[0] != sides[1]]


def _fen(intervals: Sequence[Entitlement], window: Window, died_on: date | None) -> int:
    """Return the payable fen of one item in the window.

    Most persons have one amount in the whole window and for two months before and after it. Their sum needs no `due`.
    """
    early, late = _with_margins(window)
    near = [e for e in intervals if e.from_ < late and (e.to is None or early < e.to)]
    if not near:
        return 0
    if len(near) > 1 or died_on is not None or near[0].from_ > early or (near[0].to or late) < late:
        return payable_fen(owed(near, window, died_on))
    return (near[0].amount_fen_per_month or 0) * window.months if _is_paid(near[0], window) else 0


def _is_paid(e: Entitlement, window: Window) -> bool:
    return e.kind == "cash" and e.state in HAD and (window.demo or example_of(e) is None)


@lru_cache(maxsize=64)
def _with_margins(window: Window) -> tuple[date, date]:
    """Return the days two months before the window and two months after it."""
    return add_months(window.first, -2), add_months(window.end, 2)


def owed(entitlements: Sequence[Entitlement], window: Window, died_on: date | None) -> list[Due]:
    """Return the lines of `due` for the service months of the window, whether paid in advance or in arrears."""
    last = (window.end - _ONE_DAY).replace(day=1)
    lines = due(entitlements, through_month=last, died_on=died_on, demo=window.demo, pay_from={ANYWHERE: window.first})
    return [line for line in lines if line.service_month < window.end]


def payable_fen(lines: Iterable[Due]) -> int:
    """Return the sum of the lines in fen. Held money counts, barred money does not."""
    return sum(line.amount_fen for line in lines if line.state != "barred")


def _earlier(
    before: Sequence[Entitlement], after: Sequence[Entitlement], window: Window, died_on: date | None
) -> dict[tuple[str, str, str], int]:
    """Return the difference new − old in fen for all months before the window, by area, fund and item, without zeros.

    A positive sum is back-pay, a negative one is money to recover.
    """
    sides = _differing(_begun(before, window.first), _begun(after, window.first))
    found: dict[tuple[str, str, str], int] = {}
    for side, sign in [(was, -1) for was, _ in sides] + [(now, 1) for _, now in sides]:
        for key, fen in owed_before(side, window.first, died_on=died_on, demo=window.demo).items():
            found[key] = found.get(key, 0) + sign * fen
    return {key: fen for key, fen in found.items() if fen}


def _begun(entitlements: Sequence[Entitlement], day: date) -> list[Entitlement]:
    """Return the cash intervals that began before a day. An end on or after the day does not matter and is removed."""
    begun = (e for e in entitlements if e.kind == "cash" and e.from_ < day)
    return [e if e.to is None or e.to < day else _open(e) for e in begun]


def _open(e: Entitlement) -> Entitlement:
    return msgspec.structs.replace(e, to=None)


class _Standing:
    """The states of one item in the window, and its `weight`: fen of money, parts of visits, or days of a service."""

    __slots__ = ("is_cash", "states", "weight")

    def __init__(self, is_cash: bool) -> None:
        self.is_cash, self.weight = is_cash, 0
        self.states: set[str] = set()


def _standings(entitlements: Sequence[Entitlement], lines: Iterable[Due], window: Window) -> dict[str, _Standing]:
    """Return the states and weight of each item that a person has in the window, by item."""
    found: dict[str, _Standing] = {}
    for e in entitlements:
        if not window.meets(e):
            continue
        standing = found.setdefault(e.item, _Standing(e.kind == "cash"))
        standing.states.add(e.state)
        if e.state in HAD and e.kind != "cash":
            standing.weight += days_in(e, window) * (_PARTS_OF_A_VISIT // (e.interval_days or 1))
    for line in lines:
        if line.state != "barred":
            found.setdefault(line.item, _Standing(True)).weight += line.amount_fen
    return found


def days_in(e: Entitlement, window: Window) -> int:
    """Return the number of days of an interval inside the window. The interval must meet the window."""
    return (min(e.to or window.end, window.end) - max(e.from_, window.first)).days


def _changes(had: dict[str, _Standing], has: dict[str, _Standing]) -> tuple[tuple[str, What], ...]:
    """Return (item, kind of change) for every change, sorted by item."""
    found: list[tuple[str, What]] = []
    for item in sorted({*had, *has}):
        changes = _changes_of_item(had.get(item, _NO_STANDING), has.get(item, _NO_STANDING))
        found += [(item, change) for change in changes]
    return tuple(found)


def _changes_of_item(before: _Standing, after: _Standing) -> Iterator[What]:
    """Yield the kinds of change of one item."""
    if after.weight > before.weight:
        yield "more" if before.weight else "gained"
    elif after.weight < before.weight:
        yield "less" if after.weight else "lost"
    if after.states.intersection(ASKED) and not before.states.intersection(ASKED):
        yield "asked"
    if "suppressed" in after.states and "suppressed" not in before.states:
        yield "suppressed"


_NO_STANDING: Final = _Standing(False)
