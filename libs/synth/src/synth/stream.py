"""Months of change in a county, as the pushes a platform receives."""

import heapq
from collections.abc import Iterator
from operator import attrgetter
from random import Random

from common import calendar

from synth import caring, dying, earning, moving
from synth.beside import beside
from synth.county import County
from synth.delivery import Faults, Post, Push
from synth.month import Month, Rates

# Deaths first: who dies this month has nothing else told of the days after. Newcomers last: their turn
# comes next month.
HAPPENINGS = (
    dying.deaths,
    moving.homes,
    moving.hukou,
    moving.old_errors,
    caring.certificates,
    caring.living,
    caring.special_families,
    earning.households,
    earning.members,
    earning.own_income,
    dying.false_deaths,
    moving.newcomers,
)


def stream(
    county: County, months: int, seed: int, faults: Faults | None = None, rates: Rates | None = None
) -> Iterator[Push]:
    """Draw so many months of change, in the order of delivery; the county moves on with them.

    Drawn to its end it has delivered everything, also what is told after the last month (`deliver_at` may
    lie some months behind `county.today`). The events are the same whatever the faults; `County.truth`
    does not depend on them.
    """
    world, other = Random(f"stream/{seed}"), Random(f"beside/{seed}")
    post = Post(faults or Faults(), Random(f"faults/{seed}"))
    second = Post(faults or Faults(), Random(f"faults beside/{seed}"))
    at = attrgetter("deliver_at")
    for _ in range(months):
        start, end = county.today, calendar.add_months(county.today, 1)
        month = Month(county, start, end, world, rates or Rates())
        for happening in HAPPENINGS:
            for sent in happening(month):
                post.take(sent)
        for sent in beside(Month(county, start, end, other, rates or Rates(), county.scribe_beside)):
            second.take(sent)
        county.today = end
        # What later months tell is told after they begin.
        due = calendar.start_of_day(end)
        yield from heapq.merge(post.due(due), second.due(due), key=at)
    yield from heapq.merge(post.rest(), second.rest(), key=at)
