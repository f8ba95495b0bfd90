"""Published counts never give a person away."""

from collections import defaultdict
from itertools import product

import pytest
from supervision.domain.statistics import rate, suppress, suppress_parts

THRESHOLD = 5
TRIED = 16
NAMES = ("a", "b", "c", "d")


def test_counts_below_the_threshold_are_not_told_but_nobody_is() -> None:
    assert [suppress(n, THRESHOLD) for n in (0, 1, 4, 5)] == [0, None, None, 5]


@pytest.mark.parametrize(
    ("parts", "total", "told"),
    [
        ((10, 20, 30, 40), 100, (10, 20, 30, 40)),
        ((10, 20, 30, 0), 60, (10, 20, 30, 0)),
        ((3, 20, 30, 40), 93, (None, None, 30, 40)),  # else 3 = 93 − 90
        ((20, 30, 40, 3), 93, (None, 30, 40, None)),
        ((1, 1, 30, 40), 72, (None, None, None, 40)),  # else both are one
        ((4, 4, 30, 40), 78, (None, None, None, 40)),  # else both are four
        ((4, 4, 0, 0), None, (None, None, 0, 0)),
        ((3, 4, 0, 0), 7, (None, None, 0, 0)),
        ((3, 0, 0, 0), None, (None, 0, 0, 0)),
        ((0, 0, 0, 0), 0, (0, 0, 0, 0)),
    ],
)
def test_a_hidden_count_takes_a_second_one_with_it(
    parts: tuple[int, ...], total: int | None, told: tuple[int | None, ...]
) -> None:
    assert suppress_parts(dict(zip(NAMES, parts, strict=True)), THRESHOLD) == (
        total,
        dict(zip(NAMES, told, strict=True)),
    )


def test_no_hidden_count_can_be_worked_out_from_what_is_told() -> None:
    """All small tables: whoever knows the rule and the answer is left with at least two values for every null."""
    tables: dict[object, list[tuple[int, ...]]] = defaultdict(list)
    for table in product(range(TRIED), repeat=4):
        total, told = suppress_parts(dict(zip(NAMES, table, strict=True)), THRESHOLD)
        tables[total, tuple(told.values())].append(table)
    for (total, told), possible in tables.items():  # type: ignore[misc]
        if total is not None and total - sum(n for n in told if n is not None) >= TRIED:
            continue  # not all tables with this answer were tried
        for place, count in enumerate(told):
            values = {table[place] for table in possible}
            assert len(values) >= 2 if count is None else values == {count}, (told, possible)


def test_every_told_count_is_true_and_the_total_is_their_sum() -> None:
    total, told = suppress_parts({"a": 8, "b": 6, "c": 5, "d": 0}, THRESHOLD)
    assert total == 19 == sum(n for n in told.values() if n is not None)


def test_a_rate_of_too_few_people_is_not_told() -> None:
    assert rate(0, 0, THRESHOLD) is None
    assert rate(4, 4, THRESHOLD) is None
    assert rate(2, 8, THRESHOLD) == 0.25
