"""Conditions over one moment of a person's life. Three answers: it holds, it does not, a fact is missing."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rules.policy import GROUPS, Condition

# Places in a world, in the order of `World`; a list of event ids runs beside it.
(HUKOU, RESIDENCE, AGE, DISABILITY, LOW_INCOME, LIVING, SPECIAL, ABILITY, PLACE) = range(9)


class World(NamedTuple):
    """What is known of a person over one stretch of days; None: nothing is known of it.

    `hukou`, `residence`: every area, nearest first, that holds the place and that some list names.
    `disability`: (class, level). `low_income`: (category, support).
    """

    hukou: tuple[str, ...] | None = None
    residence: tuple[str, ...] | None = None
    age: int | None = None
    disability: tuple[int, int] | None = None
    low_income: tuple[str, str | None] | None = None
    living: tuple[str, ...] | None = None
    special: str | None = None
    ability: int | None = None
    place: str | None = None


class _Test(NamedTuple):
    slot: int  # what it reads
    kind: str  # the kind of fact asked for where that is missing
    absent_means: str
    holds: Callable[[Any, Any], bool | None]  # (argument, what the world knows) → None: not said


def _support(wanted: tuple[str, ...], low_income: tuple[str, str | None]) -> bool | None:
    return None if low_income[1] is None else low_income[1] in wanted


_UNKNOWN, _NOT_MET = "unknown", "not_met"
TEST: dict[str, _Test] = {
    "age_years_min": _Test(AGE, "registration", _UNKNOWN, lambda years, age: age >= years),
    "age_years_max": _Test(AGE, "registration", _UNKNOWN, lambda years, age: age <= years),
    "hukou_in": _Test(HUKOU, "registration", _UNKNOWN, lambda areas, at: any(a in at for a in areas)),
    "residence_in": _Test(RESIDENCE, "residence", _UNKNOWN, lambda areas, at: any(a in at for a in areas)),
    "place_in": _Test(PLACE, "residence", _UNKNOWN, lambda places, place: place in places),
    "low_income_in": _Test(LOW_INCOME, "low_income", _NOT_MET, lambda kinds, low: low[0] in kinds),
    "support_in": _Test(LOW_INCOME, "low_income", _NOT_MET, _support),
    "disability": _Test(
        DISABILITY, "disability", _NOT_MET, lambda want, has: has[0] in want.classes and has[1] in want.levels
    ),
    "ability_level_min": _Test(ABILITY, "ability_result", _UNKNOWN, lambda least, level: level >= least),
    "living_tag": _Test(LIVING, "living_situation", _NOT_MET, lambda tags, has: any(t in has for t in tags)),
    "special_family": _Test(SPECIAL, "special_family", _NOT_MET, lambda kinds, kind: kind in kinds),
}


Answer = Callable[[World], bool | None]


def compiled(condition: Condition) -> Answer:
    """The condition as a function: True, False, or None where a missing fact decides."""
    name = condition.test
    if name not in GROUPS:
        return _compiled_test(condition, name)
    parts = [compiled(child) for child in getattr(condition, name)]
    decisive = name != "all_of"  # the answer of a part that settles the group at once,
    settled = name == "any_of"  # and how

    def group(world: World) -> bool | None:
        doubt = False
        for part in parts:
            answer = part(world)
            if answer is decisive:
                return settled
            doubt = doubt or answer is None
        return None if doubt else not settled

    return group


def _compiled_test(condition: Condition, name: str) -> Answer:
    slot, _, by_default, holds = TEST[name]
    argument = getattr(condition, name)
    otherwise = False if (condition.absent_means or by_default) == _NOT_MET else None

    def test(world: World) -> bool | None:
        known = world[slot]
        answer = None if known is None else holds(argument, known)
        return otherwise if answer is None else answer

    return test


def evaluate(condition: Condition, world: World) -> bool | None:
    """One look; whoever asks often keeps the `compiled` condition."""
    return compiled(condition)(world)


def missing(condition: Condition, world: World) -> set[str]:
    """The kinds of facts whose absence leaves the condition open."""
    if evaluate(condition, world) is not None:
        return set()
    name = condition.test
    if name not in GROUPS:
        return {TEST[name].kind}
    return set().union(*(missing(child, world) for child in getattr(condition, name)))


def leaves(condition: Condition) -> Iterator[tuple[str, Any]]:
    """Every test in a condition with its argument."""
    name = condition.test
    if name in GROUPS:
        for child in getattr(condition, name):
            yield from leaves(child)
    else:
        yield name, getattr(condition, name)


def slots_read(condition: Condition) -> set[int]:
    return {TEST[name].slot for name, _ in leaves(condition)}
