"""Shares of a county's older people, rounded from the 2020 census and projected to 2026.

They give queues, pages and plans realistic sizes. They are no statistics and no policy.
"""

from bisect import bisect
from datetime import date, timedelta
from itertools import accumulate
from random import Random

from common.calendar import age_on, birthday

# first age of the band, people per 1,000, men per 100 women
AGE_BANDS = (
    (55, 90, 100),
    (60, 265, 100),
    (65, 205, 97),
    (70, 185, 94),
    (75, 120, 89),
    (80, 75, 81),
    (85, 43, 69),
    (90, 14, 54),
    (95, 3, 45),
)
# Centenarians and births on 29 February follow from the serial number, so that a small county has both.
CENTENARIAN_EVERY, LEAP_BIRTH_EVERY = 1600, 600
CENTENARIAN_AGES = (100, 100, 100, 101, 101, 102, 103, 104, 106, 108)
CENTENARIAN_MEN_PER_100_WOMEN = 33

MARRIED_PER_100 = ((55, 90), (65, 85), (70, 78), (75, 68), (80, 52), (85, 35), (90, 20))
DISABLED_PER_1000 = ((55, 55), (65, 70), (70, 85), (75, 105), (80, 135), (85, 160))
DISABILITY_CLASSES = ((4, 55), (1, 12), (2, 15), (3, 1), (5, 5), (6, 7), (7, 5))  # GB/T 26341 code, share
DISABILITY_LEVELS = ((1, 12), (2, 28), (3, 30), (4, 30))
LOW_INCOME_HOUSEHOLDS_PER_1000 = (("dibao", 38), ("bianyuan", 8), ("gangxing", 3), ("fanpin", 7))
TEKUN_PER_1000_SINGLE = 25
SPECIAL_FAMILY_PER_1000 = 6
HUKOU_ELSEWHERE_PER_1000 = 60
YEARLY_DEATHS_PER_1000 = ((55, 6), (60, 9), (65, 14), (70, 24), (75, 42), (80, 75), (85, 125), (90, 200), (100, 380))

Table = tuple[tuple[int, int], ...]


def by_age(table: Table, age: int) -> int:
    """Return the figure of the age band that contains `age`; below the first band, the figure of the first. `table`:
    first age of the band, figure."""
    return table[max(0, bisect(table, (age, 10**9)) - 1)][1]


def weighted(rng: Random, table: Table) -> int:
    """Return the first member of a random pair. The second member of each pair is its weight."""
    steps = list(accumulate(weight for _, weight in table))
    return table[bisect(steps, rng.random() * steps[-1])][0]


_BAND_STEPS = list(accumulate(weight for _, weight, _ in AGE_BANDS))


def draw_birth(rng: Random, today: date, serial: int) -> tuple[date, str]:
    """A birth date and a sex (GB/T 2261.1) by the age pyramid."""
    age, men = _draw_age(rng, serial)
    sex = "1" if rng.random() * (100 + men) < men else "2"
    born = birthday(today, -age) - timedelta(days=int(rng.random() * 365))
    return (leap_birth_near(born) if serial % LEAP_BIRTH_EVERY == 11 else born), sex


def _draw_age(rng: Random, serial: int) -> tuple[int, int]:
    """An age, and the number of men per 100 women of this age."""
    if serial % CENTENARIAN_EVERY == 7:
        return rng.choice(CENTENARIAN_AGES), CENTENARIAN_MEN_PER_100_WOMEN
    first, _, men = AGE_BANDS[bisect(_BAND_STEPS, rng.random() * _BAND_STEPS[-1])]
    # within an older band, younger ages are more frequent
    return first + int(5 * rng.random() ** (1.0 if first < 70 else 1.35)), men


def leap_birth_near(born: date) -> date:
    """Return 29 February of the leap year nearest to a birth date."""
    year = min(range(born.year - 2, born.year + 3), key=lambda y: (y % 4 != 0, abs(y - born.year)))
    return date(year, 2, 29) if year != 1900 else date(1904, 2, 29)


def dies_this_month(rng: Random, birth: date, on: date, times: float = 1.0) -> bool:
    """Decide at random whether a person dies in a month, by the yearly death rate of the age, multiplied by `times`."""
    return rng.random() * 12_000 < by_age(YEARLY_DEATHS_PER_1000, age_on(birth, on)) * times
