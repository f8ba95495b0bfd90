"""Statistics that reveal no small group of people, not even by subtraction.

A cell is one count of one counting area in one month. Every cell is protected separately, and every published figure
is a sum of protected cells. So all answers together reveal only the protected cells. Neither a protected cell nor the
difference of two cells shows that there are between 1 and threshold − 1 people.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from common.codes import divisions

CLASSES: Final = ("longevity_allowance", "nursing_subsidy", "care_service_subsidy", "combined")
LEVELS: Final = ("0", "1", "2", "3", "4")


class Counts(NamedTuple):
    """Exact numbers of people in one month. `classes`: by CLASSES. `levels`: by LEVELS. `visited`: of `to_visit`."""

    classes: Mapping[str, int]
    levels: Mapping[str, int]
    to_visit: int = 0
    visited: int = 0


class Figures(NamedTuple):
    """Published figures of one area and month. None: too few people, or the area is part of a county."""

    subsidised_total: int | None
    by_class: dict[str, int | None]
    visit_rate: float | None  # whole per cent, as a fraction
    by_level: dict[str, int | None]


@lru_cache(maxsize=65_536)
def counting_area(division: str | None) -> str:
    """The area in which the people of a division are counted: its county in force. If no county is known: the nearest
    city, province or the nation."""
    if division is None or not divisions.known(division):
        return divisions.NATION
    areas = [code for code in (division, *divisions.ancestors(division)) if len(code) == divisions.COUNTY_DIGITS]
    counties = [code for code in areas if not code.endswith("00")]
    return counties[-1] if counties else areas[0]


def protect(count: int, threshold: int) -> int:
    """The protected count: 0 for fewer people than `threshold`, otherwise rounded to a multiple of it."""
    return 0 if count < threshold else _rounded(count, threshold)


def publish(division: str, people: Iterable[tuple[str | None, Counts]], threshold: int) -> Figures:
    """Return the figures of a division. `people`: pairs of an area and the exact counts of the people in it. All areas
    within the division are needed; other areas are ignored."""
    cells = _cells(division, people)
    classes = _protected_sums([c.classes for c in cells], CLASSES, threshold)
    levels = _protected_sums([c.levels for c in cells], LEVELS, threshold)
    return Figures(
        sum(classes.values()) or None,
        {name: count or None for name, count in classes.items()},
        _rate(cells, threshold),
        {name: count or None for name, count in levels.items()},
    )


def _protected_sums(cells: Sequence[Mapping[str, int]], names: Sequence[str], threshold: int) -> dict[str, int]:
    return {name: sum(protect(cell[name], threshold) for cell in cells) for name in names}


def _cells(division: str, people: Iterable[tuple[str | None, Counts]]) -> list[Counts]:
    """The exact counts of each counting area in the division. Empty if the division is only part of such an area."""
    if counting_area(division) != division:
        return []
    found: dict[str, list[Counts]] = {}
    for residence, counts in people:
        area = counting_area(residence)
        if divisions.within(area, division):
            found.setdefault(area, []).append(counts)
    return [_sum(counts) for counts in found.values()]


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(
        {name: sum(c.classes[name] for c in counts) for name in CLASSES},
        {name: sum(c.levels[name] for c in counts) for name in LEVELS},
        sum(c.to_visit for c in counts),
        sum(c.visited for c in counts),
    )


def _rate(cells: Sequence[Counts], threshold: int) -> float | None:
    """Return the share of people visited, rounded to whole per cent; None if every cell has too few people.

    It is computed from rounded counts, because an exact rate of few people reveals their number. The number of people
    visited is published in no other form, so a small number is only rounded.
    """
    large = [c for c in cells if c.to_visit >= threshold]
    to_visit = sum(_rounded(c.to_visit, threshold) for c in large)
    if not to_visit:
        return None
    visited = sum(_rounded(c.visited, threshold) for c in large)
    return (200 * visited + to_visit) // (2 * to_visit) / 100


def _rounded(count: int, base: int) -> int:
    """The nearest multiple of `base`; the upper one of two equally near."""
    return (2 * count + base) // (2 * base) * base
