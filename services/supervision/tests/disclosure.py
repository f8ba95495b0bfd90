"""A reader who has all answers, knows the rule by which they were made, and tries to derive a small number of people.

The reader may add and subtract answers over areas, classes, months and days of reading. All that they can derive holds
in every population that gives the same answers. So a quantity is safe if some population with the same answers has
another value of it, outside 1 … threshold − 1. `find_derivable` looks for such a population: it adds and removes
people, and moves them between cells, as long as the answers stay.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from common.codes import divisions
from supervision.domain.statistics import CLASSES, LEVELS, Counts

Rule = Callable[[str, list[tuple[str | None, Counts]], int], object]
VISITS = ("visited", "not visited")
INDICATORS: Mapping[str, tuple[str, ...]] = {"classes": CLASSES, "levels": LEVELS, "visits": VISITS}
# Where people live: nowhere known, a city, a county and its townships, a county and its old code, a custom area.
PLACES = (None, "530300", "530302", "530302001", "530302002", "530303", "530328", "530371")
ASKED = (*filter(None, PLACES), "530000", divisions.NATION)
PERIODS = 3  # a month, the month after it, and the latter read again after some changes


class Cell(NamedTuple):
    period: int
    place: str | None
    kind: str


class Quantity(NamedTuple):
    """The people of `cells`, less those of `less`."""

    cells: frozenset[Cell]
    less: frozenset[Cell] = frozenset()

    def of(self, people: Mapping[Cell, int]) -> int:
        return sum(people[c] for c in self.cells) - sum(people[c] for c in self.less)


def find_derivable(people: Mapping[Cell, int], indicator: str, rule: Rule, threshold: int) -> list[Quantity]:
    """Every quantity of 1 … threshold − 1 people of which no population with the same answers was found to have
    another value."""
    small = range(1, threshold)
    reader = _Reader(rule, threshold)
    suspects = [quantity for quantity in _quantities(indicator) if quantity.of(people) in small]
    return [quantity for quantity in suspects if not _has_other_value(quantity, people, indicator, reader, threshold)]


def _has_other_value(
    quantity: Quantity, people: Mapping[Cell, int], indicator: str, reader: "_Reader", threshold: int
) -> bool:
    """Whether climbing away from the true population, upwards or downwards, leads out of the small values."""
    true = reader.answers(people)
    cells = [(c, 1) for c in sorted(quantity.cells, key=_order)] + [(c, -1) for c in sorted(quantity.less, key=_order)]
    for direction in (1, -1):
        now = dict(people)
        for with_other in (False, True):
            for cell, sign in cells:
                for other in _others(cell, quantity, people, indicator) if with_other else [None]:
                    for step in range(threshold, 0, -1):
                        tried = _moved(now, cell, direction * sign * step, other)
                        if tried is not None and reader.answers(tried) == true:
                            now = tried
                            break
                    if quantity.of(now) not in range(1, threshold):
                        return True
    return False


def _others(cell: Cell, quantity: Quantity, people: Mapping[Cell, int], indicator: str) -> list[Cell]:
    """Cells outside the quantity that people of this cell could come from or go to."""
    return [
        c
        for c in people
        if c.period == cell.period
        and c not in quantity.cells | quantity.less
        and (c.kind == cell.kind or indicator == "visits")
    ]


def _moved(people: Mapping[Cell, int], cell: Cell, more: int, other: Cell | None) -> dict[Cell, int] | None:
    """`more` people in a cell, and as many fewer in another one; None if a cell would become negative."""
    changed = {**people, cell: people[cell] + more}
    if other is not None:
        changed[other] -= more
    return None if changed[cell] < 0 or (other is not None and changed[other] < 0) else changed


def _order(cell: Cell) -> tuple[int, str, str]:
    return cell.period, cell.place or "", cell.kind


class _Reader:
    def __init__(self, rule: Rule, threshold: int) -> None:
        self._rule, self._threshold = rule, threshold
        self._read: dict[tuple[int, ...], tuple[object, ...]] = {}

    def answers(self, people: Mapping[Cell, int]) -> list[tuple[object, ...]]:
        return [self._answers_of(period, people) for period in range(PERIODS)]

    def _answers_of(self, period: int, people: Mapping[Cell, int]) -> tuple[object, ...]:
        cells = {(c.place, c.kind): n for c, n in people.items() if c.period == period}
        key = tuple(cells.values())
        if key not in self._read:
            rows = [(place, _counts(place, cells)) for place in PLACES]
            self._read[key] = tuple(self._rule(asked, rows, self._threshold) for asked in ASKED)
        return self._read[key]


def _counts(place: str | None, cells: Mapping[tuple[str | None, str], int]) -> Counts:
    visited, not_visited = (cells.get((place, kind), 0) for kind in VISITS)
    return Counts(
        {name: cells.get((place, name), 0) for name in CLASSES},
        {name: cells.get((place, name), 0) for name in LEVELS},
        visited + not_visited,
        visited,
    )


def _quantities(indicator: str) -> Iterator[Quantity]:
    """Each kind and all kinds together, in each area, in the difference of two areas, in each period, and in
    the difference of two periods."""
    kinds = [*((kind,) for kind in INDICATORS[indicator]), INDICATORS[indicator]]
    for places in sorted(_pieces(), key=lambda places: sorted(place or "" for place in places)):
        for group in kinds:
            cells = [frozenset(Cell(n, place, k) for place in places for k in group) for n in range(PERIODS)]
            yield from map(Quantity, cells)
            for one, other in combinations(cells, 2):
                yield Quantity(one, other)
                yield Quantity(other, one)


def _pieces() -> set[frozenset[str | None]]:
    within = {
        asked: frozenset(p for p in PLACES if asked == divisions.NATION or (p and divisions.within(p, asked)))
        for asked in ASKED
    }
    pieces = {frozenset({place}) for place in PLACES} | set(within.values())
    pieces |= {one - other for one in within.values() for other in within.values()}
    return pieces - {frozenset()}
