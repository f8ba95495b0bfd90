"""Statistics from which no small group of people can be derived, not even by subtraction.

A cell is one count of one counting area in one month. Every cell is protected by itself, and every published figure
is a sum of protected cells. So all answers together say no more than the protected cells. Neither a protected cell
nor the difference of two is limited to 1 … threshold − 1 people.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from common.codes import divisions

CLASSES: Final = ("longevity_allowance", "nursing_subsidy", "care_service_subsidy", "combined")
LEVELS: Final = ("0", "1", "2", "3", "4")


class Counts(NamedTuple):
    """People in one month, exact. `classes` and `levels` by the names above; `visited` are some of `to_visit`."""

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
    """The area whose cells count the people of a division: its county in force. Where no county is known, it is the
    nearest city, province or the nation."""
    if division is None or not divisions.known(division):
        return divisions.NATION
    areas = [code for code in (division, *divisions.ancestors(division)) if len(code) == divisions.COUNTY_DIGITS]
    counties = [code for code in areas if not code.endswith("00")]
    return counties[-1] if counties else areas[0]


def protect(count: int, threshold: int) -> int:
    """A count as it enters sums: 0 for fewer people than `threshold`, else rounded to a multiple of it."""
    return 0 if count < threshold else _rounded(count, threshold)


def publish(division: str, people: Iterable[tuple[str | None, Counts]], threshold: int) -> Figures:
    """The figures of a division. `people`: exact counts by division of residence, at least those within it."""
    cells = _cells(division, people)
    classes = {name: sum(protect(c.classes[name], threshold) for c in cells) for name in CLASSES}
    levels = {name: sum(protect(c.levels[name], threshold) for c in cells) for name in LEVELS}
    return Figures(
        sum(classes.values()) or None,
        {name: count or None for name, count in classes.items()},
        _rate(cells, threshold),
        {name: count or None for name, count in levels.items()},
    )


def _cells(division: str, people: Iterable[tuple[str | None, Counts]]) -> list[Counts]:
    """Per counting area within the division its exact counts; nothing where the division is part of such an area."""
    if counting_area(division) != division:
        return []
    found: dict[str, list[Counts]] = {}
    for residence, counts in people:
        area = counting_area(residence)
        if divisions.within(area, division):
            found.setdefault(area, []).append(counts)
    return [_added(counts) for counts in found.values()]


def _added(counts: Sequence[Counts]) -> Counts:
    return Counts(
        {name: sum(c.classes[name] for c in counts) for name in CLASSES},
        {name: sum(c.levels[name] for c in counts) for name in LEVELS},
        sum(c.to_visit for c in counts),
        sum(c.visited for c in counts),
    )


def _rate(cells: Sequence[Counts], threshold: int) -> float | None:
    """From rounded counts, since an exact rate of few people names their number. The people visited are published in
    no other form, so a small number of them is rounded like any other."""
    large = [c for c in cells if c.to_visit >= threshold]
    to_visit = sum(_rounded(c.to_visit, threshold) for c in large)
    if not to_visit:
        return None
    visited = sum(_rounded(c.visited, threshold) for c in large)
    return (200 * visited + to_visit) // (2 * to_visit) / 100


def _rounded(count: int, base: int) -> int:
    """The nearest multiple of `base`; the upper one where two are as near."""
    return (2 * count + base) // (2 * base) * base
