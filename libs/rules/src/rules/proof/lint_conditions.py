"""Check the conditions, tiers and amounts of a version: compute whether any possible person can meet them."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from common.codes import divisions

from rules.deciding.conditions import Answer, compiled, leaves_of_version
from rules.deciding.wording import condition_text
from rules.form.policy import NATION, Amount, Condition, ItemPolicy, Tier, Version
from rules.form.situation import ABILITY, AGE, Situation
from rules.proof.cells import cells
from rules.proof.comparison import CASES_MAX

Note = tuple[str, str, str]  # code, pointer, sentence


class _Cases(NamedTuple):
    """The cases of a version. `met`: those whose answer is yes. `failed`: whether the answer of any case is no. An
    unknown answer is neither."""

    met: list[Situation]
    failed: bool


def lint_conditions(area: str, item: ItemPolicy, version: Version, at: str) -> Iterator[Note]:
    """Yield the faults in the conditions, tiers and amounts of a version. `at`: its pointer in the list."""
    yield from _age_ranges(version.conditions, f"{at}/conditions")
    cases = _cases(area, item, version)
    if cases is None:
        yield "too_many_cases", f"{at}/conditions", f"{item.title}的条件组合太多"
        return
    if not cases.met:
        yield "never_holds", f"{at}/conditions", f"没有人能符合：{condition_text(version.conditions)}"
        return
    if not cases.failed:
        yield "always_holds", f"{at}/conditions", f"所有人都符合：{condition_text(version.conditions)}"
    for pointer, branch in _branches(version.conditions, f"{at}/conditions"):
        if not any(map(compiled(branch), cases.met)):
            yield "branch_never_counts", pointer, f"没有人靠它符合条件：{condition_text(branch)}"
    yield from _tiers(version.tiers, cases.met, at)
    if version.amount is not None:
        yield from _amounts(item.title, version.amount, cases.met, f"{at}/amount")


def _cases(area: str, item: ItemPolicy, version: Version) -> _Cases | None:
    """Return the cases that the tests of a version distinguish; None if there are too many to check."""
    tests = list(leaves_of_version(version))
    people, places = cells(tests), list(_places(area, item, tests))
    if people.cases * len(places) > CASES_MAX:
        return None
    holds = compiled(version.conditions)
    met: list[Situation] = []
    failed = False
    for at, rest in product(places, people.situations()):
        answer = holds((*at, *rest))
        failed = failed or answer is False
        if answer:
            met.append((*at, *rest))
    return _Cases(met, failed)


def _places(area: str, item: ItemPolicy, tests: Sequence[Condition]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of hukou and residence, each as area codes, nearest first; None: unknown.

    The place that the item follows lies in the list's area.
    """
    named = {code for test in tests for code in test.areas if divisions.known(code)}
    inside = [_chain(code) for code in sorted({area, *named}) if divisions.within(code, area)]
    anywhere = [None, *(_chain(code) for code in sorted({area, *named, NATION}))]
    for own, other in product(inside or [(area,)], anywhere if named else [None]):
        yield (own, other) if item.follows == "hukou" else (other, own)


def _chain(code: str) -> tuple[str, ...]:
    return (code, *divisions.ancestors(code))


def _age_ranges(condition: Condition, at: str) -> Iterator[Note]:
    if condition.all_of:
        least = max((c.age_years_min for c in condition.all_of if c.age_years_min is not None), default=0)
        most = min((c.age_years_max for c in condition.all_of if c.age_years_max is not None), default=least)
        if least > most:
            yield "age_range_empty", at, f"最低年龄{least}高于最高年龄{most}"
    for pointer, child in _children(condition, at):
        yield from _age_ranges(child, pointer)


def _children(condition: Condition, at: str) -> Iterator[tuple[str, Condition]]:
    for i, child in enumerate(condition.children):
        yield f"{at}/{condition.test}/{i}", child


def _branches(condition: Condition, at: str) -> Iterator[tuple[str, Condition]]:
    """Yield (pointer, condition) for every alternative of an `any_of`. Conditions under `none_of` are left out."""
    if condition.none_of is None:
        for pointer, child in _children(condition, at):
            if condition.any_of:
                yield pointer, child
            yield from _branches(child, pointer)


def _tiers(tiers: Sequence[Tier], met: Sequence[Situation], at: str) -> Iterator[Note]:
    answers = [compiled(t.conditions) if t.conditions else None for t in tiers]
    reached = {_first(answers, situation) for situation in met} if tiers else set()
    for i, tier in enumerate(tiers):
        if i not in reached:
            yield "tier_unreachable", f"{at}/tiers/{i}", f"没有人会进入{tier.tier}档"


def _amounts(title: str, amount: Amount, met: Sequence[Situation], at: str) -> Iterator[Note]:
    """Yield the amounts that no person gets, and whether persons get no amount.

    `met`: the cases that meet the conditions. `at`: the pointer of the amount.
    """
    if amount.flat_fen is not None:
        return
    if amount.bands:
        reached = {_highest_band(amount, situation) for situation in met}
    else:
        answers = [compiled(case.conditions) for case in amount.cases]
        reached = {_case(answers, situation) for situation in met}
    part = "bands" if amount.bands else "cases"
    for i in range(len(amount.bands) or len(amount.cases)):
        if i not in reached:
            yield "band_unreachable", f"{at}/{part}/{i}", f"没有人会进入第{i + 1}档金额"
    if -1 in reached:
        yield "amount_gap", at, f"有人符合{title}的条件，却没有对应的金额"


def _highest_band(amount: Amount, situation: Situation) -> int | None:
    """Return the index of the band that counts; -1: below the lowest band; None: age or level is unknown."""
    found = -1
    for i, band in enumerate(amount.bands):
        reached, least = situation[AGE if band.age_years_min is not None else ABILITY], band.least
        if reached is None or least is None:
            return None
        found = i if reached >= least else found
    return found


def _case(answers: Sequence[Answer], situation: Situation) -> int | None:
    """Return the index of the first case that holds; -1: no case holds. An earlier case with an unknown answer makes
    the amount unknown: None."""
    for i, answer in enumerate(answers):
        holds = answer(situation)
        if holds is None:
            return None
        if holds:
            return i
    return -1


def _first(answers: Sequence[Answer | None], situation: Situation) -> int | None:
    """Return the index of the first answer that holds; -1: no answer holds. None always holds. An unknown answer is
    skipped, as in the choice of a tier."""
    return next((i for i, answer in enumerate(answers) if answer is None or answer(situation)), -1)
