"""Divide all possible situations into the cases (proof cells) that a set of tests can distinguish.

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
    """The cases of a set of tests. `axes`: for each circumstance of `REST`, one value for each of its cases."""

    axes: tuple[tuple[Any, ...], ...]

    @property
    def cases(self) -> int:
        return prod(len(axis) for axis in self.axes)

    def situations(self) -> Iterator[tuple[Any, ...]]:
        """Yield one situation of each case, without the two places."""
        return product(*self.axes)


def cells(tests: Iterable[Condition], unreported: Collection[str] = ()) -> Cells:
    """Return the cases that some tests (no groups) distinguish. A circumstance that no test reads stays unknown.

    `unreported`: kinds of facts of which a missing fact may mean unknown (`rules.facts.coverage`). The cases are fine
    enough for both meanings.
    """
    kinds = frozenset(unreported)
    by_slot: dict[int, dict[Condition, None]] = {}
    for test in tests:
        by_slot.setdefault(TEST[test.test].slot, {})[test] = None
    return Cells(tuple(_axis(slot, tuple(by_slot[slot]), kinds) if slot in by_slot else (None,) for slot in REST))


@lru_cache(maxsize=10_000)
def _axis(slot: int, tests: tuple[Condition, ...], unreported: frozenset[str]) -> tuple[Any, ...]:
    """Return one value of each case of a circumstance. None means no fact.

    None is a case of its own for age and kind of place, because their facts also give a hukou or a residence.
    """
    answers = [compiled(test, kinds) for kinds in dict.fromkeys((frozenset[str](), unreported)) for test in tests]
    cases: dict[Any, list[Any]] = {}
    for value in (None, *_values(slot, tests)):
        situation = with_value(NOTHING_KNOWN, slot, value)
        alone = value is None and slot in _GIVEN_WITH_A_PLACE
        cases.setdefault((alone, *(answer(situation) for answer in answers)), []).append(value)
    return tuple(_representative(slot, values) for values in cases.values())


def _representative(slot: int, values: Sequence[Any]) -> Any:
    """Return the value that stands for a case: the first, which is the mildest.

    For the youngest persons it is the highest age of the case, which reads better than age 0.
    """
    return values[-1] if slot == AGE and values[0] == 0 else values[0]


def _values(slot: int, tests: Iterable[Condition]) -> Iterable[Any]:
    """Return every possible value of a circumstance. If several values may hold together, return every set of the
    values that the tests name."""
    if slot not in SEVERAL:
        return CIRCUMSTANCES[slot].known
    named = sorted({name for test in tests for name in getattr(test, test.test)})
    element = CIRCUMSTANCES[slot].element
    assert element is not None
    members = [element(name) for name in named]
    sizes = range(1, len(members) + 1)
    return map(frozenset, chain.from_iterable(combinations(members, n) for n in sizes))
