"""Months of change in a county, as the pushes a platform receives."""

from collections.abc import Iterator
from random import Random

from common import clock

from synth import caring, dying, earning, moving
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
    world, chance = Random(f"stream/{seed}"), Random(f"faults/{seed}")
    post = Post(faults or Faults(), chance)
    for _ in range(months):
        start, end = county.today, clock.add_months(county.today, 1)
        month = Month(county, start, end, world, rates or Rates())
        for happening in HAPPENINGS:
            for sent in happening(month):
                post.take(sent)
        county.today = end
        # What later months tell is told after they begin.
        yield from post.due(clock.start_of_day(end))
    yield from post.rest()
