"""Compile conditions to functions of a situation, and list the facts that conditions read.

A condition has three answers: yes (True), no (False), a fact is missing (None).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

from common.events.kinds import RULES

from rules.form.policy import GROUPS, Band, Condition, PolicyList, Version
from rules.form.situation import SEVERAL, TEST, ReadTest, Situation

Answer = Callable[[Situation], bool | None]


def compiled(condition: Condition, unreported: Collection[str] = ()) -> Answer:
    """Return the condition as a function that answers for a situation.

    `unreported`: kinds of facts of which a missing fact means unknown (`rules.facts.coverage`), unless the condition
    has `absent_means`.
    """
    name = condition.test
    if name not in GROUPS:
        return _compiled_test(condition, unreported)
    parts = [compiled(child, unreported) for child in condition.children]
    if name == "all_of":
        return _group(parts, decisive=False, settled=False)
    return _group(parts, decisive=True, settled=name == "any_of")


def _group(parts: Collection[Answer], *, decisive: bool, settled: bool) -> Answer:
    """Return the function of a group. If one part answers `decisive`, the group answers `settled`.

    If no part does, the group answers None if a part is unknown, else the opposite of `settled`.
    """

    def group(situation: Situation) -> bool | None:
        doubt = False
        for part in parts:
            answer = part(situation)
            if answer is decisive:
                return settled
            doubt = doubt or answer is None
        return None if doubt else not settled

    return group


def _compiled_test(condition: Condition, unreported: Collection[str]) -> Answer:
    """Return the function of a test."""
    read = TEST[condition.test]
    slot, holds = read.slot, read.holds
    argument = getattr(condition, condition.test)
    if condition.absent_means is None and read.kind in unreported:
        return _unreported_test(read, argument)
    if_absent = False if _absence(condition, read) == "not_met" else None

    def test(situation: Situation) -> bool | None:
        value = situation[slot]
        answer = None if value is None else holds(argument, value)
        return if_absent if answer is None else answer

    return test


def _absence(condition: Condition, read: ReadTest) -> str:
    """Return the meaning of a missing fact for a test: `not_met` or `unknown`."""
    if condition.absent_means is not None:
        return condition.absent_means
    return "not_met" if RULES[read.kind].absence == "false" else "unknown"


def _unreported_test(read: ReadTest, argument: Any) -> Answer:
    """Return the function of a test whose kind of fact no source reports completely.

    A circumstance with several values may have further values that no source reported. So its known values answer no
    only if they deny the test (`Test.denied`). A known fact without the tested value answers no.
    """
    slot, several = read.slot, read.slot in SEVERAL

    def test(situation: Situation) -> bool | None:
        value = situation[slot]
        if value is None:
            return None
        if read.holds(argument, value):
            return True
        return None if several and not read.denied(argument, value) else False

    return test


def evaluate(condition: Condition, situation: Situation, unreported: Collection[str] = ()) -> bool | None:
    """Return the answer of a condition for one situation. For many situations, keep the `compiled` condition."""
    return compiled(condition, unreported)(situation)


def missing(condition: Condition, situation: Situation, unreported: Collection[str] = ()) -> set[str]:
    """Return the kinds of facts whose absence makes the answer unknown; empty if the answer is yes or no."""
    if evaluate(condition, situation, unreported) is not None:
        return set()
    if condition.test not in GROUPS:
        return {TEST[condition.test].kind}
    return set().union(*(missing(child, situation, unreported) for child in condition.children))


def kinds_read(conditions: Iterable[Condition]) -> set[str]:
    return {TEST[leaf.test].kind for condition in conditions for leaf in condition.leaves()}


def slots_read(conditions: Iterable[Condition]) -> set[int]:
    return {TEST[leaf.test].slot for condition in conditions for leaf in condition.leaves()}


def asked_conditions(version: Version) -> Iterator[Condition]:
    """Yield the conditions of a version and of its amount cases. The platform asks for their missing facts, but not for
    those of tiers."""
    yield version.conditions
    yield from (case.conditions for case in (version.amount.cases if version.amount else ()))


def leaves_of_version(version: Version) -> Iterator[Condition]:
    """Yield every test of a version, with those of its tiers and amounts. A band counts as a test of age or ability."""
    yield from version.conditions.leaves()
    for tier in version.tiers:
        yield from tier.conditions.leaves() if tier.conditions else ()
    if version.amount is None:
        return
    for case in version.amount.cases:
        yield from case.conditions.leaves()
    yield from map(_band_test, version.amount.bands)


def leaves_of_list(one: PolicyList) -> Iterator[Condition]:
    """Yield every test of a list, without its floors and deviations."""
    for item in one.items.values():
        for version in item.versions:
            yield from leaves_of_version(version)


@lru_cache(maxsize=10_000)
def _band_test(band: Band) -> Condition:
    """Return the test that a band stands for: a least age or a least ability level."""
    if band.age_years_min is not None:
        return Condition(age_years_min=band.age_years_min)
    return Condition(ability_level_min=band.ability_level_min)
