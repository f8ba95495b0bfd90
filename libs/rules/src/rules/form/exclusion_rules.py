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
    """`items` are suppressed while the person has an item of `by` or receives a benefit `elsewhere`."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    by: tuple[str, ...] = ()
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        if not self.by and not self.elsewhere:
            raise ValueError("a block needs by or elsewhere")


class HigherOf(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="higher_of"):
    """Of the granted items the one with the highest amount stays; at equal amounts the one named first.

    An item is not paid together with a benefit received `elsewhere`. The benefit stays if its amount is not lower. If
    its amount is lower, the person may give it up."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        _need_two(self.items, self.elsewhere)


class ChoiceOf(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="choice"):
    """The person has one of the granted items. The item that the person has stays until the person chooses another."""

    items: Annotated[tuple[str, ...], Meta(min_length=2)]


class Compatible(_ExclusionRule, frozen=True, kw_only=True, tag_field="mode", tag="compatible"):
    """The person may have the items together, and with the benefits `elsewhere`.

    It overrides the rules about these pairs in lists that are further away, such as the lists above."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]
    elsewhere: tuple[Benefit, ...] = ()

    def __post_init__(self) -> None:
        _need_two(self.items, self.elsewhere)


Exclusion = Union[Block, HigherOf, ChoiceOf, Compatible]  # noqa: UP007 - msgspec reads it at run time


def pairs_of(rule: Exclusion) -> Iterator[tuple[str, str]]:
    """Yield the pairs of items that a rule is about. First in a pair is the item that a block suppresses, or the one
    that the rule names first."""
    if isinstance(rule, Block):
        yield from ((item, by) for item in rule.items for by in rule.by if item != by)
    else:
        yield from combinations(rule.items, 2)


def pairs_elsewhere(rule: Exclusion) -> Iterator[tuple[str, Benefit]]:
    """Yield the pairs of item and benefit elsewhere that a rule is about."""
    if not isinstance(rule, ChoiceOf):
        yield from ((item, benefit) for item in rule.items for benefit in rule.elsewhere)


def _need_two(items: Sequence[str], elsewhere: Sequence[Benefit]) -> None:
    if len(items) < 2 and not elsewhere:
        raise ValueError("a rule needs two items, or benefits elsewhere")


def need_one_rule_for_a_pair(rules: Sequence[Exclusion]) -> None:
    """Check the rules of a list. Raise ValueError if two rules are in force at once for the same pair.

    A pair is two items, or an item and a benefit elsewhere.
    """
    found: dict[frozenset[str], list[Exclusion]] = {}
    for rule in rules:
        for pair in {frozenset(pair) for pair in (*pairs_of(rule), *pairs_elsewhere(rule))}:
            before = found.setdefault(pair, [])
            if any(_overlap(rule, other) for other in before):
                raise ValueError(f"two rules at once for {' and '.join(sorted(pair))}")
            before.append(rule)


def _overlap(one: Exclusion, other: Exclusion) -> bool:
    return one.valid_from < (other.valid_to or date.max) and other.valid_from < (one.valid_to or date.max)
