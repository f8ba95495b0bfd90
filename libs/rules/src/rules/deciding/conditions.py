"""Conditions over one moment of a person's life. Three answers: it holds, it does not, a fact is missing."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from common.events.facts import Kind
from common.events.kinds import RULES

from rules.form.policy import GROUPS, Condition

# Places in a world, in the order of `World`; a list of event ids runs beside it.
(HUKOU, RESIDENCE, AGE, DISABILITY, LOW_INCOME, LIVING, SPECIAL, ABILITY, PLACE, MERIT, ELSEWHERE, WISHES) = range(12)


class World(NamedTuple):
    """What is known of a person over one stretch of days; None: nothing is known of it.

    `hukou`, `residence`: every area, nearest first, that holds the place and that some list names.
    `disability`: (class, level). `low_income`: (category, support). Several may hold at once of `merits`, of what is
    received `elsewhere` (benefit, fen per month where it is known) and of the `wishes` (item, apply or decline).
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
    merits: frozenset[str] | None = None
    elsewhere: frozenset[tuple[str, int | None]] | None = None
    wishes: frozenset[tuple[str, str]] | None = None


REST = range(AGE, len(World._fields))  # what follows the two places in a world
SETS = (MERIT, ELSEWHERE, WISHES)  # the places where several may stand at once, behind all others


class _Test(NamedTuple):
    slot: int  # what it reads
    kind: Kind  # the kind of fact asked for where that is missing
    holds: Callable[[Any, Any], bool | None]  # (argument, what the world knows) → None: not said


def _support(wanted: tuple[str, ...], low_income: tuple[str, str | None]) -> bool | None:
    return None if low_income[1] is None else low_income[1] in wanted


TEST: dict[str, _Test] = {
    "age_years_min": _Test(AGE, "registration", lambda years, age: age >= years),
    "age_years_max": _Test(AGE, "registration", lambda years, age: age <= years),
    "hukou_in": _Test(HUKOU, "registration", lambda areas, at: any(a in at for a in areas)),
    "residence_in": _Test(RESIDENCE, "residence", lambda areas, at: any(a in at for a in areas)),
    "place_in": _Test(PLACE, "residence", lambda places, place: place in places),
    "low_income_in": _Test(LOW_INCOME, "low_income", lambda kinds, low: low[0] in kinds),
    "support_in": _Test(LOW_INCOME, "low_income", _support),
    "disability": _Test(DISABILITY, "disability", lambda want, has: has[0] in want.classes and has[1] in want.levels),
    "ability_level_min": _Test(ABILITY, "ability_result", lambda least, level: level >= least),
    "living_tag": _Test(LIVING, "living_situation", lambda tags, has: any(t in has for t in tags)),
    "special_family": _Test(SPECIAL, "special_family", lambda kinds, kind: kind in kinds),
    "merit_in": _Test(MERIT, "merit", lambda kinds, has: any(k in has for k in kinds)),
    "benefit_elsewhere_in": _Test(ELSEWHERE, "benefit_elsewhere", lambda named, has: any(b in named for b, _ in has)),
    "applied": _Test(WISHES, "application", lambda items, has: any((i, "apply") in has for i in items)),
}


Answer = Callable[[World], bool | None]


def compiled(condition: Condition, untold: Collection[str] = ()) -> Answer:
    """The condition as a function: True, False, or None where a missing fact decides.

    `untold`: kinds of which a missing fact is unknown (`rules.facts.coverage`), unless the condition says otherwise.
    """
    name = condition.test
    if name not in GROUPS:
        return _compiled_test(condition, name, untold)
    parts = [compiled(child, untold) for child in getattr(condition, name)]
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


def _compiled_test(condition: Condition, name: str, untold: Collection[str]) -> Answer:
    slot, kind, holds = TEST[name]
    argument = getattr(condition, name)
    if condition.absent_means is None and kind in untold:
        return _untold_test(slot, argument, holds)
    by_default = "not_met" if RULES[kind].absence == "false" else "unknown"
    otherwise = False if (condition.absent_means or by_default) == "not_met" else None

    def test(world: World) -> bool | None:
        known = world[slot]
        answer = None if known is None else holds(argument, known)
        return otherwise if answer is None else answer

    return test


def _untold_test(slot: int, argument: Any, holds: Callable[[Any, Any], bool | None]) -> Answer:
    """Where several may hold at once, what is known of one says nothing of the others; a wish declined is a no. What a
    fact leaves out is not an absent fact: that reads as everywhere."""

    def test(world: World) -> bool | None:
        known: Any = world[slot]
        if known is None:
            return None
        answer = holds(argument, known) or False
        if answer or slot not in SETS:
            return answer
        declined = slot == WISHES and all((item, "decline") in known for item in argument)
        return False if declined else None

    return test


def evaluate(condition: Condition, world: World, untold: Collection[str] = ()) -> bool | None:
    """One look; whoever asks often keeps the `compiled` condition."""
    return compiled(condition, untold)(world)


def missing(condition: Condition, world: World, untold: Collection[str] = ()) -> set[str]:
    """The kinds of facts whose absence leaves the condition open."""
    if evaluate(condition, world, untold) is not None:
        return set()
    name = condition.test
    if name not in GROUPS:
        return {TEST[name].kind}
    return set().union(*(missing(child, world, untold) for child in getattr(condition, name)))


def leaves(condition: Condition) -> Iterator[tuple[str, Any]]:
    """Every test in a condition with its argument."""
    name = condition.test
    if name in GROUPS:
        for child in getattr(condition, name):
            yield from leaves(child)
    else:
        yield name, getattr(condition, name)


def kinds_read(condition: Condition) -> set[str]:
    return {TEST[name].kind for name, _ in leaves(condition)}


def slots_read(condition: Condition) -> set[int]:
    return {TEST[name].slot for name, _ in leaves(condition)}
