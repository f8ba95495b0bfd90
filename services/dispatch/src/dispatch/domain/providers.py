"""Choose the provider of a task: of those that serve the nearest area, the one with the lowest load.

The load is the number of open tasks divided by the capacity per day.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec
from common.calendar import civil_date, start_of_day
from common.codes import divisions
from rules.scales.visits import VisitRules

from dispatch.domain.task import ASSIGNED, Change, State, left_planned, offered


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider for the choice. `divisions`: areas served, with everything below them. If it was loaded for a batch,
    only the areas that contain a task of the batch are present.

    `open_tasks`: the number of its offered, accepted and begun tasks.
    """

    uscc: str
    divisions: tuple[str, ...]
    items: tuple[str, ...]
    capacity_per_day: int
    open_tasks: int = 0


class _Assignment(Protocol):
    @property
    def provider(self) -> str | None: ...
    @property
    def state(self) -> State: ...


class ProviderPool:
    """The providers of a batch, and their load while the batch is decided."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_area: dict[str, list[Provider]] = defaultdict(list)
        self._load: dict[str, int] = {}
        for provider in providers:
            self._load[provider.uscc] = provider.open_tasks
            for area in provider.divisions:
                self._by_area[area].append(provider)

    def choose(self, division: str, item: str, tried: Sequence[str]) -> str | None:
        """Choose the provider of the next offer and add the task to its load; None if no provider fits.

        Providers in `tried` are left out.
        """
        for area in (division, *divisions.ancestors(division)):
            suitable = [p for p in self._by_area.get(area, ()) if item in p.items and p.uscc not in tried]
            if suitable:
                return self._take(suitable)
        return None

    def _take(self, suitable: Sequence[Provider]) -> str:
        chosen = min(suitable, key=self._relative_load).uscc
        self._load[chosen] += 1
        return chosen

    def _relative_load(self, provider: Provider) -> tuple[float, str]:
        return self._load[provider.uscc] / provider.capacity_per_day, provider.uscc


def provider_topic(uscc: str) -> str:
    """The topic of a provider's offers. Its answers arrive on `<topic>.replies`."""
    return f"dispatch.provider.{uscc}"


def offer_on(window_from: date, rules: VisitRules) -> date:
    """The day on which a task is offered to a provider."""
    return window_from - timedelta(days=rules.offer_ahead_days)


def offer_tasks(changes: Sequence[Change], pool: ProviderPool, now: datetime, rules: VisitRules) -> list[Change]:
    """Offer each task that needs a provider, or leave it planned: with a cause, or because it is too early."""
    return [_offer_task(change, pool, now, rules) if change.needs_provider else change for change in changes]


def _offer_task(change: Change, pool: ProviderPool, now: datetime, rules: VisitRules) -> Change:
    task = change.task
    due = offer_on(task.window_from, rules)
    if due > civil_date(now):
        return left_planned(change, None, start_of_day(due))
    window_end = start_of_day(task.window_to)
    if len(task.tried) >= rules.offers_max:
        return left_planned(change, "offers_exhausted", window_end)
    chosen = pool.choose(task.division, task.item, task.tried)
    if chosen is None:
        return left_planned(change, "all_declined" if task.tried else "no_provider", window_end)
    return offered(change, chosen, now, rules)


def load_changes(before: Iterable[_Assignment], after: Iterable[_Assignment]) -> dict[str, int]:
    """Return by credit code the change of a provider's number of assigned tasks. A change of zero is left out.

    `before`, `after`: the tasks before and after a step.
    """
    difference = Counter(_assigned(after))
    difference.subtract(_assigned(before))
    return {provider: count for provider, count in difference.items() if count}


def _assigned(tasks: Iterable[_Assignment]) -> Iterator[str]:
    """The provider of each assigned task."""
    for task in tasks:
        if task.provider is not None and task.state in ASSIGNED:
            yield task.provider


def areas_of(codes: Iterable[str]) -> set[str]:
    """The divisions and all areas above them."""
    return {area for code in set(codes) for area in (code, *divisions.ancestors(code))}
