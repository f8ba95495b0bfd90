"""Published figures never reveal a small group of people."""

from itertools import pairwise
from typing import Any

import disclosure
import pytest
from common.codes import divisions
from disclosure import INDICATORS, PERIODS, PLACES, Cell, Quantity, find_derivable
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from supervision.domain.statistics import CLASSES, LEVELS, Counts, Figures, counting_area, protect, publish

THRESHOLD = 5
NOBODY = dict.fromkeys(CLASSES, 0)
NO_LEVEL = dict.fromkeys(LEVELS, 0)
COUNTS = st.one_of(st.integers(0, 6), st.integers(0, 24))


def people(**given: int) -> Counts:
    """Counts by class name, `level_0` … `level_4`, `to_visit`, `visited`; the default is 0."""
    classes = {name: given.get(name, 0) for name in CLASSES}
    levels = {level: given.get(f"level_{level}", 0) for level in LEVELS}
    return Counts(classes, levels, given.get("to_visit", 0), given.get("visited", 0))


@pytest.mark.parametrize(
    ("division", "area"),
    [
        ("530302001", "530302"),
        ("530302", "530302"),
        ("530328", "530303"),  # the old code of a county
        ("530328001", "530303"),
        ("530371", "530371"),  # a zone without a national code is a county of its own
        ("530300", "530300"),  # only the city is known
        ("530300001", "530300"),
        ("999999", "000000"),  # no such division
        ("000000", "000000"),
        (None, "000000"),
    ],
)
def test_people_are_counted_in_the_county_in_force_or_the_nearest_area_above(division: str | None, area: str) -> None:
    assert counting_area(division) == area


def test_a_count_below_the_threshold_is_zero_and_others_are_rounded_to_a_multiple_of_it() -> None:
    assert [protect(n, THRESHOLD) for n in (0, 1, 4, 5, 7, 8, 12, 13)] == [0, 0, 0, 5, 5, 10, 10, 15]
    assert [protect(n, 1) for n in (0, 1, 2)] == [0, 1, 2]
    assert [protect(n, 4) for n in (3, 4, 5, 6, 9, 10)] == [0, 4, 4, 8, 8, 12]


@pytest.mark.parametrize("threshold", range(2, 9))
def test_each_protected_count_and_each_difference_of_two_leaves_a_value_outside_the_small_ones(threshold: int) -> None:
    """All counts up to six times the threshold."""
    values: dict[int, list[int]] = {}
    for count in range(6 * threshold):
        values.setdefault(protect(count, threshold), []).append(count)
    small = set(range(1, threshold))
    complete = sorted(values)[:-1]  # for the last one not all counts were tried
    for published in complete:
        assert not set(values[published]) <= small
    for one in complete:
        for other in complete:
            assert not {a - b for a in values[one] for b in values[other]} <= small
    assert all(0 < upper - lower <= threshold for lower, upper in pairwise(sorted(values)))


def test_a_figure_is_the_sum_of_the_protected_counts_of_its_counties() -> None:
    found = publish(
        "530300",
        [
            ("530302001", people(longevity_allowance=3)),
            ("530302002", people(longevity_allowance=9, combined=4)),
            ("530303", people(longevity_allowance=4, nursing_subsidy=5)),
            ("530300", people(longevity_allowance=5)),
            (None, people(longevity_allowance=1000)),
            ("140702", people(longevity_allowance=1000)),
        ],
        THRESHOLD,
    )
    assert found.by_class == {
        "longevity_allowance": 15,
        "nursing_subsidy": 5,
        "care_service_subsidy": None,
        "combined": None,
    }
    assert found.subsidised_total == 20


@pytest.mark.parametrize("division", ["530302001", "530302001001", "530328"])
def test_a_part_of_a_county_has_no_figures(division: str) -> None:
    rows = [(division, people(longevity_allowance=1000, level_3=1000, to_visit=1000, visited=900))]
    assert publish(division, rows, THRESHOLD) == Figures(None, dict.fromkeys(CLASSES), None, dict.fromkeys(LEVELS))


@pytest.mark.parametrize(
    ("to_visit", "visited", "rate"),
    [
        (0, 0, None),
        (4, 4, None),
        (10, 4, 0.5),
        (10, 1, 0.0),
        (200, 199, 1.0),
        (300, 100, 0.33),
        (300, 201, 0.67),
        (1000, 426, 0.43),
        (1000, 422, 0.42),
    ],
)
def test_a_rate_is_whole_per_cent_of_rounded_counts(to_visit: int, visited: int, rate: float | None) -> None:
    rows = [("530302", people(to_visit=to_visit, visited=visited))]
    assert publish("530302", rows, THRESHOLD).visit_rate == rate


@st.composite
def populations(draw: Any, indicator: str) -> dict[Cell, int]:
    """People of one indicator. The second month differs from the first in some cells, the second reading of it from
    the first reading in a few."""
    kinds = INDICATORS[indicator]
    cells = {Cell(0, place, kind): draw(COUNTS) for place in PLACES for kind in kinds}
    for period in range(1, PERIODS):
        changes = draw(st.dictionaries(st.sampled_from([(p, k) for p in PLACES for k in kinds]), COUNTS, max_size=4))
        before = {(c.place, c.kind): n for c, n in cells.items() if c.period == period - 1}
        cells |= {Cell(period, *key): changes.get(key, count) for key, count in before.items()}
    return cells


@pytest.mark.parametrize("indicator", INDICATORS)
@settings(max_examples=10, deadline=None, phases=(Phase.reuse, Phase.generate))  # shrinking would take minutes
@given(data=st.data())
def test_no_small_number_of_people_can_be_derived_from_all_answers_together(indicator: str, data: Any) -> None:
    """Over areas, classes, months, days of reading, and people visited against people with visiting care."""
    assert find_derivable(data.draw(populations(indicator)), indicator, publish, THRESHOLD) == []


def exact(division: str, rows: list[tuple[str | None, Counts]], threshold: int) -> object:
    """Each answer hides its own small counts, and nothing else."""
    within = [c for place, c in rows if division == divisions.NATION or (place and divisions.within(place, division))]
    counts = {name: sum(c.classes[name] for c in within) for name in CLASSES}
    shown = {name: None if 0 < count < threshold else count for name, count in counts.items()}
    return *shown.values(), *(round(sum(c.visited for c in within) / max(1, sum(c.to_visit for c in within)), 2),)


def test_the_reader_of_these_tests_derives_a_township_that_is_only_left_out() -> None:
    cells = {Cell(n, place, kind): 0 for n in range(PERIODS) for place in PLACES for kind in CLASSES}
    for period in range(PERIODS):
        cells |= {Cell(period, town, CLASSES[0]): n for town, n in (("530302001", 3), ("530302002", 20))}
    found = find_derivable(cells, "classes", exact, THRESHOLD)
    assert Quantity(frozenset({Cell(0, "530302001", CLASSES[0])})) in found


def test_the_reader_of_these_tests_derives_people_from_a_change_and_from_an_exact_rate() -> None:
    cells = {Cell(n, place, kind): 0 for n in range(PERIODS) for place in PLACES for kind in CLASSES}
    cells |= {Cell(period, "530302", CLASSES[0]): 20 + period for period in range(PERIODS)}
    cell = [frozenset({Cell(period, "530302", CLASSES[0])}) for period in range(PERIODS)]
    assert Quantity(cell[1], cell[0]) in find_derivable(cells, "classes", exact, THRESHOLD)
    visits = {Cell(n, place, kind): 0 for n in range(PERIODS) for place in PLACES for kind in disclosure.VISITS}
    visits |= {Cell(n, "530302", "visited"): 1 for n in range(PERIODS)}
    visits |= {Cell(n, "530302", "not visited"): 6 for n in range(PERIODS)}
    visited = Quantity(frozenset({Cell(0, "530302", "visited")}))
    assert visited in find_derivable(visits, "visits", _counted, THRESHOLD)


def _counted(division: str, rows: list[tuple[str | None, Counts]], threshold: int) -> object:
    """The exact rate together with the number of people with visiting care."""
    return exact(division, rows, threshold), sum(c.to_visit for place, c in rows if place == division)
