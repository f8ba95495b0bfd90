"""Conditions compiled to functions of a situation. Three answers: yes (True), no (False), a fact is missing (None)."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

from common.events.kinds import RULES

from rules.form.policy import GROUPS, Band, Condition, PolicyList, Version
from rules.form.situation import SEVERAL, TEST, ReadTest, Situation

Answer = Callable[[Situation], bool | None]


def compiled(condition: Condition, unreported: Collection[str] = ()) -> Answer:
    """The condition as a function.

    `unreported`: kinds of which a missing fact means unknown (`rules.facts.coverage`), unless the condition has
    `absent_means`.
    """
    name = condition.test
    if name not in GROUPS:
        return _compiled_test(condition, unreported)
    parts = [compiled(child, unreported) for child in condition.children]
    if name == "all_of":
        return _group(parts, decisive=False, settled=False)
    return _group(parts, decisive=True, settled=name == "any_of")


def _group(parts: Collection[Answer], *, decisive: bool, settled: bool) -> Answer:
    """One part with the answer `decisive` gives the group the answer `settled`."""

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
    if condition.absent_means is not None:
        return condition.absent_means
    return "not_met" if RULES[read.kind].absence == "false" else "unknown"


def _unreported_test(read: ReadTest, argument: Any) -> Answer:
    """A test whose kind of fact is not reported completely.

    Of a circumstance with several values others may hold that nobody reported, so no value is a no. A fact that is
    there but leaves a value out counts as everywhere: the answer is no.
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
    """One answer. To ask often, keep the `compiled` condition."""
    return compiled(condition, unreported)(situation)


def missing(condition: Condition, situation: Situation, unreported: Collection[str] = ()) -> set[str]:
    """The kinds of facts whose absence leaves the condition open."""
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
    """The conditions for which the platform asks for missing facts: those of the item and of its amounts."""
    yield version.conditions
    yield from (case.conditions for case in (version.amount.cases if version.amount else ()))


def leaves_of_version(version: Version) -> Iterator[Condition]:
    """Every test of a version, with those of its tiers and amounts. A band counts as a test of age or ability."""
    yield from version.conditions.leaves()
    for tier in version.tiers:
        yield from tier.conditions.leaves() if tier.conditions else ()
    if version.amount is None:
        return
    for case in version.amount.cases:
        yield from case.conditions.leaves()
    yield from map(_band_test, version.amount.bands)


def leaves_of_list(one: PolicyList) -> Iterator[Condition]:
    """Every test of a list, without its floors and deviations."""
    for item in one.items.values():
        for version in item.versions:
            yield from leaves_of_version(version)


@lru_cache(maxsize=10_000)
def _band_test(band: Band) -> Condition:
    if band.age_years_min is not None:
        return Condition(age_years_min=band.age_years_min)
    return Condition(ability_level_min=band.ability_level_min)
