"""Conditions that say something else than was meant: whom they can ever fit is looked up, not guessed."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from common.codes import divisions

from rules.deciding.conditions import Answer, World, compiled
from rules.deciding.wording import condition_text
from rules.form.policy import Condition, ItemPolicy, Tier, Version
from rules.proof.cells import cells, leaves_of_version
from rules.proof.comparison import CASES_MAX

Note = tuple[str, str, str]  # code, pointer, sentence


class _Whom(NamedTuple):
    """`met`: kinds of people who meet the conditions. `failed`: whether there is anybody who does not."""

    met: list[World]
    failed: bool


def lint_conditions(area: str, item: ItemPolicy, version: Version, at: str) -> Iterator[Note]:
    """What is odd about the conditions, tiers and amounts of a version. `at`: its pointer in the list."""
    yield from _age_ranges(version.conditions, f"{at}/conditions")
    whom = _whom(area, item, version)
    if whom is None:
        yield "too_many_cases", f"{at}/conditions", f"{item.title}的条件组合太多"
        return
    if not whom.met:
        yield "never_holds", f"{at}/conditions", f"没有人能符合：{condition_text(version.conditions)}"
        return
    if not whom.failed:
        yield "always_holds", f"{at}/conditions", f"所有人都符合：{condition_text(version.conditions)}"
    for pointer, branch in _branches(version.conditions, f"{at}/conditions"):
        if not _any(branch, whom.met):
            yield "branch_never_counts", pointer, f"没有人靠它符合条件：{condition_text(branch)}"
    yield from _tiers(version.tiers, whom.met, at)
    yield from _amounts(item, version, whom.met, at)


def _whom(area: str, item: ItemPolicy, version: Version) -> _Whom | None:
    """None when there are too many cases to look at."""
    tests = list(leaves_of_version(version))
    people, places = cells(tests), list(_places(area, item, tests))
    if people.cases * len(places) > CASES_MAX:
        return None
    holds = compiled(version.conditions)
    worlds = [World(*at, *rest) for at, rest in product(places, people.worlds())]
    answers = [holds(world) for world in worlds]
    return _Whom([w for w, answer in zip(worlds, answers, strict=True) if answer], False in answers)


def _places(area: str, item: ItemPolicy, tests: Sequence[Condition]) -> Iterator[tuple[Any, Any]]:
    """Hukou and residence as chains of areas: the one that the item follows lies in the list's area."""
    named = {a for test in tests for a in test.hukou_in or test.residence_in or () if divisions.known(a)}
    inside = [(code, *divisions.ancestors(code)) for code in sorted({area, *named}) if divisions.within(code, area)]
    anywhere = [None, *((code, *divisions.ancestors(code)) for code in sorted({area, *named, "000000"}))]
    for own, other in product(inside or [(area,)], anywhere if named else [None]):
        yield (own, other) if item.follows == "hukou" else (other, own)


def _age_ranges(condition: Condition, at: str) -> Iterator[Note]:
    if condition.all_of:
        least = max((c.age_years_min for c in condition.all_of if c.age_years_min is not None), default=0)
        most = min((c.age_years_max for c in condition.all_of if c.age_years_max is not None), default=least)
        if least > most:
            yield "age_range_empty", at, f"最低年龄{least}高于最高年龄{most}"
    for pointer, child in _children(condition, at):
        yield from _age_ranges(child, pointer)


def _children(condition: Condition, at: str) -> Iterator[tuple[str, Condition]]:
    for name in ("all_of", "any_of", "none_of"):
        for i, child in enumerate(getattr(condition, name) or ()):
            yield f"{at}/{name}/{i}", child


def _branches(condition: Condition, at: str) -> Iterator[tuple[str, Condition]]:
    """Every alternative; what stands under `none_of` counts by not holding."""
    if condition.none_of is None:
        for pointer, child in _children(condition, at):
            if condition.any_of:
                yield pointer, child
            yield from _branches(child, pointer)


def _any(condition: Condition, worlds: Sequence[World]) -> bool:
    holds = compiled(condition)
    return any(holds(world) for world in worlds)


def _tiers(tiers: Sequence[Tier], met: Sequence[World], at: str) -> Iterator[Note]:
    answers = [compiled(t.conditions) if t.conditions else None for t in tiers]
    reached = {_first(answers, world) for world in met} if tiers else set()
    for i, tier in enumerate(tiers):
        if i not in reached:
            yield "tier_unreachable", f"{at}/tiers/{i}", f"没有人会进入{tier.tier}档"


def _amounts(item: ItemPolicy, version: Version, met: Sequence[World], at: str) -> Iterator[Note]:
    if version.amount is None or version.amount.flat_fen is not None:
        return
    bands, cases = version.amount.bands, version.amount.cases
    if bands:
        reached: set[int | None] = {_highest(version, world) for world in met}
    else:
        answers = [compiled(case.conditions) for case in cases]
        reached = {_first(answers, world) for world in met}
    for i in range(len(bands) or len(cases)):
        if i not in reached:
            yield "band_unreachable", f"{at}/amount/{'bands' if bands else 'cases'}/{i}", f"没有人会进入第{i + 1}档金额"
    if -1 in reached:
        yield "amount_gap", f"{at}/amount", f"有人符合{item.title}的条件，却没有对应的金额"


def _highest(version: Version, world: World) -> int | None:
    """The band that counts, -1 below the lowest, None where that is not known."""
    assert version.amount
    found = -1
    for i, band in enumerate(version.amount.bands):
        reached, least = (
            (world.age, band.age_years_min)
            if band.age_years_min is not None
            else (world.ability, band.ability_level_min)
        )
        if reached is None or least is None:
            return None
        found = i if reached >= least else found
    return found


def _first(answers: Sequence[Answer | None], world: World) -> int:
    """The first that holds (None always does), -1 for none of them."""
    return next((i for i, answer in enumerate(answers) if answer is None or answer(world)), -1)
