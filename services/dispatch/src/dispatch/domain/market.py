"""Who is asked to go: the provider nearest in the closure of areas, then the least loaded. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec
from common.calendar import civil_date, start_of_day
from common.codes import divisions
from rules.scales.visits import VisitRules

from dispatch.domain.task import IN_HAND, Moved, State, left_planned, offered


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """`divisions`: the areas it serves, with everything below them. `open_tasks`: how many it has in hand."""

    uscc: str
    divisions: tuple[str, ...]
    items: tuple[str, ...]
    capacity_per_day: int
    open_tasks: int = 0


class _Held(Protocol):
    @property
    def provider(self) -> str | None: ...
    @property
    def state(self) -> State: ...


class Market:
    """The providers of a batch, and what has been put on them while the batch is decided."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_area: dict[str, list[Provider]] = defaultdict(list)
        self._load: dict[str, int] = {}
        for provider in providers:
            self._load[provider.uscc] = provider.open_tasks
            for area in provider.divisions:
                self._by_area[area].append(provider)

    def choose(self, division: str, item: str, tried: Sequence[str]) -> str | None:
        """The nearest provider not asked before, the least loaded of several; None when there is none."""
        for area in (division, *divisions.ancestors(division)):
            fitting = [p for p in self._by_area.get(area, ()) if item in p.items and p.uscc not in tried]
            if fitting:
                chosen = min(fitting, key=lambda p: (self._load[p.uscc] / p.capacity_per_day, p.uscc))
                self._load[chosen.uscc] += 1
                return chosen.uscc
        return None


def offer_on(window_from: date, rules: VisitRules) -> date:
    """The day on which a task is put to a provider."""
    return window_from - timedelta(days=rules.offer_ahead_days)


def place(moves: Sequence[Moved], market: Market, now: datetime, rules: VisitRules) -> list[Moved]:
    """Each task that asks for a provider is offered to one, or stays planned with the cause."""
    return [_place(moved, market, now, rules) if moved.place else moved for moved in moves]


def _place(moved: Moved, market: Market, now: datetime, rules: VisitRules) -> Moved:
    task = moved.task
    due = offer_on(task.window_from, rules)
    if due > civil_date(now):
        return left_planned(moved, None, start_of_day(due))
    window_end = start_of_day(task.window_to)
    if len(task.tried) >= rules.offers_max:
        return left_planned(moved, "offers_exhausted", window_end)
    chosen = market.choose(task.division, task.item, task.tried)
    if chosen is None:
        return left_planned(moved, "all_declined" if task.tried else "no_provider", window_end)
    return offered(moved, chosen, now, rules)


def in_hand(before: Iterable[_Held], after: Iterable[_Held]) -> dict[str, int]:
    """By provider: how many tasks it has more in hand (or fewer, below 0) after a change than before it."""
    change: Counter[str] = Counter()
    for tasks, sign in ((before, -1), (after, 1)):
        for task in tasks:
            if task.provider is not None and task.state in IN_HAND:
                change[task.provider] += sign
    return {provider: n for provider, n in change.items() if n}


def areas_of(codes: Iterable[str]) -> set[str]:
    """The divisions themselves and all areas above them: where their providers can be found."""
    return {area for code in set(codes) for area in (code, *divisions.ancestors(code))}


def by_id(moves: Iterable[Moved]) -> Mapping[str, Moved]:
    return {moved.task.task_id: moved for moved in moves}
