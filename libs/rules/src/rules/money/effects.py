"""What a change of lists does to one person over some service months: money by `due`, services by days.

Both sides rest on the same facts; they differ in the lists only. What is equal on both sides costs almost nothing, so
that whole populations can be gone through.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    """Service months from that of `first` to the one before `end` (both the first of a month). `demo`: what rests
    on an example is paid, as in `due`."""

    first: date
    end: date
    demo: bool = False

    @classmethod
    def of(cls, first: date, months: int, *, demo: bool = False) -> "Window":
        """`first` may be any day of its month."""
        first = first.replace(day=1)
        return cls(first, add_months(first, months), demo)

    @property
    def months(self) -> int:
        return (self.end.year - self.first.year) * 12 + self.end.month - self.first.month

    def meets(self, e: Entitlement) -> bool:
        return e.from_ < self.end and (e.to is None or self.first < e.to)


class Figures(NamedTuple):
    """What a band is laid around; sums over people. `raised_fen` and `cut_fen` are never netted between people."""

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
    """`before`, `after`: what is owed in the window. `earlier`: for months before it, the new less the old, by area,
    fund and item. `changes`: (item, what became of it in the window). `gains`, `loses`: more or less money on the
    whole, in the window or before it, or more or less of a service; both may be true. `changed`: anything differs, if
    only a clause."""

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
    """Both sides sorted by item and period, as `decide` gives them."""
    if before == after:
        lines = owed(before, window, died_on)
        return Effect(lines, lines, {})
    sides = _differing(before, after)
    lines = owed(before, window, died_on)
    was, now = [e for one, _ in sides for e in one], [e for _, one in sides for e in one]
    others = {e.item for e in (*was, *now)}
    left = [line for line in lines if line.item not in others]
    lines_was, lines_now = [line for line in lines if line.item in others], owed(now, window, died_on)
    earlier = _earlier(was, now, window, died_on)
    had, has = _standings(was, lines_was, window), _standings(now, lines_now, window)
    changes = tuple(change for item in sorted({*had, *has}) for change in _changes(item, had, has))
    services = {what for item, what in changes if not (had.get(item) or has[item]).is_cash}
    fen, earlier_fen = payable_fen(lines_now) - payable_fen(lines_was), sum(earlier.values())
    return Effect(
        lines,
        [*left, *lines_now],
        earlier,
        changes,
        gains=fen > 0 or earlier_fen > 0 or not services.isdisjoint(("gained", "more")),
        loses=fen < 0 or earlier_fen < 0 or not services.isdisjoint(("lost", "less")),
        changed=True,
    )


def figures_of(
    before: Sequence[Entitlement], after: Sequence[Entitlement], window: Window, died_on: date | None = None
) -> Figures:
    """The figures alone, looking at no item that is the same on both sides."""
    sides = _differing(before, after)
    if not sides:
        return _NOTHING
    fen = sum(_fen(now, window, died_on) - _fen(was, window, died_on) for was, now in sides)
    return Figures(1, max(fen, 0), max(-fen, 0))


def _differing(
    before: Sequence[Entitlement], after: Sequence[Entitlement]
) -> list[tuple[list[Entitlement], list[Entitlement]]]:
    """Both sides of every item that is not the same on both."""
    items: dict[str, tuple[list[Entitlement], list[Entitlement]]] = {}
    for n, side in enumerate((before, after)):
        for e in side:
            items.setdefault(e.item, ([], []))[n].append(e)
    return [sides for sides in items.values() if sides[0] != sides[1]]


def _fen(intervals: Sequence[Entitlement], window: Window, died_on: date | None) -> int:
    """What is payable of one item in the window. Most people have one amount all through it, two months to either
    side included, so that neither a beginning nor an end comes into it."""
    early, late = _with_margins(window)
    near = [e for e in intervals if e.from_ < late and (e.to is None or early < e.to)]
    if not near:
        return 0
    if len(near) > 1 or died_on is not None or near[0].from_ > early or (near[0].to or late) < late:
        return payable_fen(owed(near, window, died_on))
    (e,) = near
    paid = e.kind == "cash" and e.state in HAD and (window.demo or example_of(e) is None)
    return (e.amount_fen_per_month or 0) * window.months if paid else 0


@lru_cache(maxsize=64)
def _with_margins(window: Window) -> tuple[date, date]:
    return add_months(window.first, -2), add_months(window.end, 2)


def owed(entitlements: Sequence[Entitlement], window: Window, died_on: date | None) -> list[Due]:
    """What is owed for the months of the window, whenever it is paid."""
    last = (window.end - _ONE_DAY).replace(day=1)
    lines = due(entitlements, through_month=last, died_on=died_on, demo=window.demo, pay_from={ANYWHERE: window.first})
    return [line for line in lines if line.service_month < window.end]


def payable_fen(lines: Iterable[Due]) -> int:
    """Held money is owed as well; barred money is not."""
    return sum(line.amount_fen for line in lines if line.state != "barred")


def _earlier(
    before: Sequence[Entitlement], after: Sequence[Entitlement], window: Window, died_on: date | None
) -> dict[tuple[str, str, str], int]:
    """Back-pay and what would be recovered, for all months before the window."""
    sides = _differing(_begun(before, window.first), _begun(after, window.first))
    found: dict[tuple[str, str, str], int] = {}
    for side, sign in [(was, -1) for was, _ in sides] + [(now, 1) for _, now in sides]:
        for key, fen in owed_before(side, window.first, died_on=died_on, demo=window.demo).items():
            found[key] = found.get(key, 0) + sign * fen
    return {key: fen for key, fen in found.items() if fen}


def _begun(entitlements: Sequence[Entitlement], day: date) -> list[Entitlement]:
    """What began before a day, as far as it matters to the months before it: an end after it does not."""
    return [e if e.to is None or e.to < day else _open(e) for e in entitlements if e.kind == "cash" and e.from_ < day]


def _open(e: Entitlement) -> Entitlement:
    return msgspec.structs.replace(e, to=None)


class _Standing:
    """What somebody has of an item in the window. `weight`: fen of money, parts of visits, or days of a service."""

    __slots__ = ("is_cash", "states", "weight")

    def __init__(self, is_cash: bool) -> None:
        self.is_cash, self.weight = is_cash, 0
        self.states: set[str] = set()


def _standings(entitlements: Sequence[Entitlement], lines: Iterable[Due], window: Window) -> dict[str, _Standing]:
    found: dict[str, _Standing] = {}
    for e in entitlements:
        if window.meets(e):
            standing = found.setdefault(e.item, _Standing(e.kind == "cash"))
            standing.states.add(e.state)
            if e.state in HAD and e.kind != "cash":
                standing.weight += days_in(e, window) * (_PARTS_OF_A_VISIT // (e.interval_days or 1))
    for line in lines:
        if line.state != "barred":
            found.setdefault(line.item, _Standing(True)).weight += line.amount_fen
    return found


def days_in(e: Entitlement, window: Window) -> int:
    """Of an interval that meets the window."""
    return (min(e.to or window.end, window.end) - max(e.from_, window.first)).days


def _changes(item: str, had: dict[str, _Standing], has: dict[str, _Standing]) -> Iterator[tuple[str, What]]:
    before, after = had.get(item, _NO_STANDING), has.get(item, _NO_STANDING)
    if after.weight > before.weight:
        yield item, "more" if before.weight else "gained"
    elif after.weight < before.weight:
        yield item, "less" if after.weight else "lost"
    if after.states.intersection(ASKED) and not before.states.intersection(ASKED):
        yield item, "asked"
    if "suppressed" in after.states and "suppressed" not in before.states:
        yield item, "suppressed"


_NO_STANDING: Final = _Standing(False)
