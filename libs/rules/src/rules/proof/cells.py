"""Everything that can be known of a person, cut into the cases that a set of tests can tell apart.

Each part of a world has finitely many values. Two values to which every test gives the same answer are one case, so a
proof that looks at one value of each case has looked at everybody.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import chain, combinations, product
from math import prod
from typing import Any, NamedTuple, get_args

from common.events.facts import LivingTag, LowIncomeCategory

from rules.deciding.conditions import (
    ABILITY,
    AGE,
    DISABILITY,
    ELSEWHERE,
    LIVING,
    LOW_INCOME,
    MERIT,
    PLACE,
    REST,
    SETS,
    SPECIAL,
    TEST,
    WISHES,
    World,
    compiled,
)
from rules.form.policy import GROUPS, Condition, Version

_TAGS = get_args(LivingTag)
_AGE_MAX = 130
_AMOUNT_MAX = 10_000_000
# Whatever a source may say, the mildest first, because the first value of a case stands for it.
KNOWN: dict[int, tuple[Any, ...]] = {
    AGE: tuple(range(_AGE_MAX + 1)),
    DISABILITY: tuple((kind, level) for level in (4, 3, 2, 1) for kind in range(1, 8)),
    LOW_INCOME: tuple(
        (category, support)
        for category in get_args(LowIncomeCategory)
        for support in ((None, "scattered", "concentrated") if category == "tekun" else (None,))
    ),
    LIVING: tuple(tags for n in range(len(_TAGS) + 1) for tags in combinations(_TAGS, n)),
    SPECIAL: ("disabled", "dead"),
    ABILITY: (0, 1, 2, 3, 4),
    PLACE: ("home", "institution", "elsewhere"),
}
_AS_KNOWN: dict[int, Callable[[str], Any]] = {
    MERIT: lambda name: name,
    ELSEWHERE: lambda name: (name, _AMOUNT_MAX),  # conditions do not ask how much; beside it least is left
    WISHES: lambda name: (name, "apply"),
}
_TOLD_WITH_A_PLACE = frozenset({AGE, PLACE})  # with a hukou comes a birth date, with a residence a place


class Cells(NamedTuple):
    """`axes`: for each part of a world behind the two places the values that stand for its cases."""

    axes: tuple[tuple[Any, ...], ...]

    @property
    def cases(self) -> int:
        return prod(len(axis) for axis in self.axes)

    def worlds(self) -> Iterator[tuple[Any, ...]]:
        """The rest of a world behind its two places, one of each case."""
        return product(*self.axes)


def cells(tests: Iterable[Condition], untold: Collection[str] = ()) -> Cells:
    """The cases that these tests (no groups) tell apart, wherever each of the kinds is `untold` or not
    (`rules.facts.coverage`). What none of them reads stays unknown."""
    kinds = frozenset(untold)
    by_slot: dict[int, dict[Condition, None]] = {}
    for test in tests:
        by_slot.setdefault(TEST[test.test].slot, {})[test] = None
    return Cells(tuple(_axis(slot, tuple(by_slot[slot]), kinds) if slot in by_slot else (None,) for slot in REST))


@lru_cache(maxsize=10_000)
def _axis(slot: int, tests: tuple[Condition, ...], untold: frozenset[str]) -> tuple[Any, ...]:
    """One value of each case. "Nothing is known" is a case of its own where other facts hang on it."""
    answers = [compiled(test, kinds) for kinds in dict.fromkeys((frozenset[str](), untold)) for test in tests]
    cases: dict[Any, list[Any]] = {}
    for value in (None, *(_sets(slot, tests) if slot in SETS else KNOWN[slot])):
        world = World(*(value if i == slot else None for i in range(len(World._fields))))
        alone = value is None and slot in _TOLD_WITH_A_PLACE
        cases.setdefault((alone, *(answer(world) for answer in answers)), []).append(value)
    # The age just under the lowest one named reads better than a newborn's.
    return tuple(values[-1] if values[0] == 0 and slot == AGE else values[0] for values in cases.values())


def _sets(slot: int, tests: Iterable[Condition]) -> Iterator[frozenset[Any]]:
    """Every set of what the tests name: what none of them names tells nobody apart."""
    named = sorted({name for test in tests for name in getattr(test, test.test)})
    known = [_AS_KNOWN[slot](name) for name in named]
    return map(frozenset, chain.from_iterable(combinations(known, n) for n in range(1, len(known) + 1)))


def leaves_of(condition: Condition) -> Iterator[Condition]:
    """Every test in a condition, groups taken apart."""
    if condition.test in GROUPS:
        for child in getattr(condition, condition.test):
            yield from leaves_of(child)
    else:
        yield condition


def leaves_of_version(version: Version) -> Iterator[Condition]:
    """Every test that a version of an item makes, those of its tiers and of its amounts included."""
    yield from leaves_of(version.conditions)
    for tier in version.tiers:
        yield from leaves_of(tier.conditions) if tier.conditions else ()
    for case in version.amount.cases if version.amount else ():
        yield from leaves_of(case.conditions)
    for band in version.amount.bands if version.amount else ():
        if band.age_years_min is not None:
            yield Condition(age_years_min=band.age_years_min)
        else:
            yield Condition(ability_level_min=band.ability_level_min)
