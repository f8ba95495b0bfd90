"""Months of change in a county, as the pushes that a platform receives."""

import heapq
from collections.abc import Iterator
from operator import attrgetter
from random import Random
from typing import Final

from common import calendar

from synth import circumstances, deaths, low_income, moves
from synth.county import County
from synth.delivery import DeliveryQueue, Faults, Push
from synth.month import Month, Rates
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
    """Draw months of change, in the order of delivery. The county's day moves forward with them.

    The last pushes are due some months after the last month. The events do not depend on the faults, and
    `County.truth` does not either.
    """
    faults, rates = faults or Faults(), rates or Rates()
    rng, other_rng = Random(f"stream/{seed}"), Random(f"beside/{seed}")
    main = DeliveryQueue(faults, Random(f"faults/{seed}"))
    other = DeliveryQueue(faults, Random(f"faults beside/{seed}"))
    at = attrgetter("deliver_at")
    for _ in range(months):
        start, end = county.today, calendar.add_months(county.today, 1)
        month = Month(county, start, end, rng, rates)
        for change in KINDS_OF_CHANGE:
            for sent in change(month):
                main.add(sent)
        for sent in other_facts(Month(county, start, end, other_rng, rates, county.other_writer)):
            other.add(sent)
        county.today = end
        # events of later months have later times
        due = calendar.start_of_day(end)
        yield from heapq.merge(main.due(due), other.due(due), key=at)
    yield from heapq.merge(main.rest(), other.rest(), key=at)
