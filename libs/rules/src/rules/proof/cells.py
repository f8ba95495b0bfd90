"""All possible situations, divided into the cases that a set of tests can distinguish.

Each circumstance has finitely many values. Two values to which every test gives the same answer are one case. So a
proof that checks one value of each case has checked every person.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, combinations, product
from math import prod
from typing import Any, Final, NamedTuple

from rules.deciding.conditions import compiled
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import Condition
from rules.form.situation import AGE, NOTHING_KNOWN, PLACE, REST, SEVERAL, TEST, with_value

_GIVEN_WITH_A_PLACE: Final = frozenset({AGE, PLACE})  # a hukou gives the birth date, a residence the kind of place


class Cells(NamedTuple):
    """`axes`: for each slot of `REST` the values that stand for its cases."""

    axes: tuple[tuple[Any, ...], ...]

    @property
    def cases(self) -> int:
        return prod(len(axis) for axis in self.axes)

    def situations(self) -> Iterator[tuple[Any, ...]]:
        """One situation of each case, without the two places."""
        return product(*self.axes)


def cells(tests: Iterable[Condition], unreported: Collection[str] = ()) -> Cells:
    """The cases that these tests (no groups) distinguish, whether a kind is `unreported` or not.

    A circumstance that no test reads stays unknown. `unreported`: see `rules.facts.coverage`.
    """
    kinds = frozenset(unreported)
    by_slot: dict[int, dict[Condition, None]] = {}
    for test in tests:
        by_slot.setdefault(TEST[test.test].slot, {})[test] = None
    return Cells(tuple(_axis(slot, tuple(by_slot[slot]), kinds) if slot in by_slot else (None,) for slot in REST))


@lru_cache(maxsize=10_000)
def _axis(slot: int, tests: tuple[Condition, ...], unreported: frozenset[str]) -> tuple[Any, ...]:
    """One value of each case. "No fact" is a case of its own if the same fact gives other circumstances."""
    answers = [compiled(test, kinds) for kinds in dict.fromkeys((frozenset[str](), unreported)) for test in tests]
    cases: dict[Any, list[Any]] = {}
    for value in (None, *_values(slot, tests)):
        situation = with_value(NOTHING_KNOWN, slot, value)
        alone = value is None and slot in _GIVEN_WITH_A_PLACE
        cases.setdefault((alone, *(answer(situation) for answer in answers)), []).append(value)
    return tuple(_representative(slot, values) for values in cases.values())


def _representative(slot: int, values: Sequence[Any]) -> Any:
    """The first value, which is the mildest. The age just below the lowest named age reads better than age 0."""
    return values[-1] if slot == AGE and values[0] == 0 else values[0]


def _values(slot: int, tests: Iterable[Condition]) -> Iterable[Any]:
    """Every possible value. Of several values that may hold together: every set of those that the tests name."""
    if slot not in SEVERAL:
        return CIRCUMSTANCES[slot].known
    named = sorted({name for test in tests for name in getattr(test, test.test)})
    element = CIRCUMSTANCES[slot].element
    assert element is not None
    members = [element(name) for name in named]
    sizes = range(1, len(members) + 1)
    return map(frozenset, chain.from_iterable(combinations(members, n) for n in sizes))
