"""Months of change in a county, as the pushes that a platform receives."""

import heapq
from collections.abc import Callable, Iterator
from datetime import date
from operator import attrgetter
from random import Random
from typing import Final, NamedTuple

from common import calendar

from synth import circumstances, deaths, low_income, moves
from synth.cloud_events import EventWriter
from synth.county import County
from synth.delivery import DeliveryQueue, Faults, Push
from synth.month import Changes, Month, Rates
from synth.other_facts import other_facts

# Deaths come first, so that nothing is reported about later days of the dead. Newcomers come last: they change from
# the next month on.
KINDS_OF_CHANGE: Final = (
    deaths.deaths,
    moves.homes,
    moves.hukou,
    moves.old_errors,
    circumstances.certificates,
    circumstances.living,
    circumstances.special_families,
    low_income.households,
    low_income.members,
    low_income.own_income,
    deaths.false_deaths,
    moves.newcomers,
)


def stream(
    county: County, months: int, seed: int, faults: Faults | None = None, rates: Rates | None = None
) -> Iterator[Push]:
    """Draw months of change, and yield the pushes in the order of delivery. `County.today` moves forward with them.

    The last pushes are due some months after the last month. The events do not depend on the faults, and
    `County.truth` does not either.
    """
    faults, rates = faults or Faults(), rates or Rates()
    main = DeliveryQueue(faults, Random(f"faults/{seed}"))
    other = DeliveryQueue(faults, Random(f"faults beside/{seed}"))
    sources = (
        _Source(_changes, Random(f"stream/{seed}"), county.writer, main),
        _Source(other_facts, Random(f"beside/{seed}"), county.other_writer, other),
    )
    for _ in range(months):
        start, end = county.today, calendar.add_months(county.today, 1)
        for source in sources:
            source.add_month(county, start, end, rates)
        county.today = end
        # events of later months have later times
        due = calendar.start_of_day(end)
        yield from _in_order(main.due(due), other.due(due))
    yield from _in_order(main.rest(), other.rest())


class _Source(NamedTuple):
    """Kinds of change with their own random numbers. So one `_Source` never alters the events of the other."""

    changes: Callable[[Month], Changes]
    rng: Random
    writer: EventWriter
    queue: DeliveryQueue

    def add_month(self, county: County, start: date, end: date, rates: Rates) -> None:
        self.queue.add_all(self.changes(Month(county, start, end, self.rng, rates, self.writer)))


def _changes(month: Month) -> Changes:
    for change in KINDS_OF_CHANGE:
        yield from change(month)


def _in_order(main: Iterator[Push], other: Iterator[Push]) -> Iterator[Push]:
    return heapq.merge(main, other, key=attrgetter("deliver_at"))
