"""The form of the rules between items (`contracts/policy/<area>/exclusions.yaml`)."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import combinations
from typing import Annotated, Union

from common.events.facts import Benefit
from msgspec import Meta

from rules.form.cited import Citation, Status, Strict


class _ExclusionRule(Strict, frozen=True, kw_only=True):
    """A rule between items, or between items and benefits received `elsewhere`, over [`valid_from`, `valid_to`)."""

    valid_from: date
    valid_to: date | None = None
    status: Status
    citation: Citation


class Block(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="block"):
    """While any item of `by` is granted or any benefit is received `elsewhere`, those of `items` are suppressed."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    by: tuple[str, ...] = ()
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        if not self.by and not self.elsewhere:
            raise ValueError("a block needs by or elsewhere")


class HigherOf(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="higher_of"):
    """Of the items granted the one with the highest amount stays, the earlier named at equal amounts. Beside a benefit
    received `elsewhere` none is paid: it stays while its amount is not lower, else the person may give it up."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        _need_two(self.items, self.elsewhere)


class ChoiceOf(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="choice"):
    """Of the items granted the person has one: what they have already stays until they choose another."""

    items: Annotated[tuple[str, ...], Meta(min_length=2)]


class Compatible(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="compatible"):
    """The items may be had together, and beside the benefits `elsewhere`, whatever a list further away says."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        _need_two(self.items, self.elsewhere)


Exclusion = Union[Block, HigherOf, ChoiceOf, Compatible]  # noqa: UP007 - msgspec reads it at run time


def pairs_of(rule: Exclusion) -> Iterator[tuple[str, str]]:
    """The pairs of items that a rule is about, the one that may give way (of a block) or is named earlier first."""
    if isinstance(rule, Block):
        yield from ((item, by) for item in rule.items for by in rule.by if item != by)
    else:
        yield from combinations(rule.items, 2)


def pairs_elsewhere(rule: Exclusion) -> Iterator[tuple[str, Benefit]]:
    """The items with the benefits elsewhere that a rule holds against them."""
    if not isinstance(rule, ChoiceOf):
        yield from ((item, benefit) for item in rule.items for benefit in rule.elsewhere)


def _need_two(items: Sequence[str], elsewhere: Sequence[Benefit]) -> None:
    if len(items) < 2 and not elsewhere:
        raise ValueError("a rule needs two items, or benefits elsewhere")


def need_one_rule_for_a_pair(rules: Sequence[Exclusion]) -> None:
    """Raises ValueError where two rules are in force at once for the same two items, or item and benefit."""
    found: dict[frozenset[str], list[Exclusion]] = {}
    for rule in rules:
        for pair in {frozenset(pair) for pair in (*pairs_of(rule), *pairs_elsewhere(rule))}:
            for other in found.setdefault(pair, []):
                if rule.valid_from < (other.valid_to or date.max) and other.valid_from < (rule.valid_to or date.max):
                    raise ValueError(f"two rules at once for {' and '.join(sorted(pair))}")
            found[pair].append(rule)
