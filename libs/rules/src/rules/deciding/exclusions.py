"""Apply the rules between items that a person may not have together. A suppressed item stays visible and can come back.

For any two items the nearest list with a rule about both decides. An item follows the hukou or the residence. A list
rules over an item only if its area contains that place of the person. Only an item that is given (`Outcome.given`)
excludes another.

Blocks are applied first, then the rules about higher amounts, then choices. So an item blocks others even if it then
yields to a higher amount or asks for a choice.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rules.deciding.outcome import Outcome
from rules.form.exclusion_rules import Block, ChoiceOf, Exclusion, HigherOf, pairs_elsewhere, pairs_of

Others = Mapping[str, Sequence[str]]


class Relations(NamedTuple):
    """The rules between the items of a person. Each field has by item the other items, in the order of the rules.

    `blocked_by`: if one of the others is given, the item is not. `beaten_by`: of the two, the higher amount is given.
    `rivals`: the person has one of the two and may choose. `blocked_elsewhere`, `beaten_elsewhere`: as `blocked_by` and
    `beaten_by`, for benefits of other offices. `rank`: the place of an item in the order in which rules `higher_of` and
    `choice` name items; an item of no such rule is missing.
    """

    blocked_by: Others
    beaten_by: Others
    rivals: Others
    blocked_elsewhere: Others
    beaten_elsewhere: Others
    rank: Mapping[str, int]


def relate(rules: Sequence[tuple[str, Sequence[Exclusion]]], areas_of: Mapping[str, Collection[str]]) -> Relations:
    """Return the relations that the rules of several areas set between items.

    `rules`: (area, its rules), nearest area first. `areas_of`: by item the areas whose lists may rule over it.
    """
    relating = _Relating(areas_of)
    for area, of_area in rules:
        for rule in of_area:
            relating.add(area, rule)
    return relating.relations


class _Relating:
    """Collects the relations rule by rule. The first rule about a pair counts."""

    def __init__(self, areas_of: Mapping[str, Collection[str]]) -> None:
        self._areas_of = areas_of
        self._settled: set[frozenset[str]] = set()
        self._blocked_by: dict[str, list[str]] = {}
        self._beaten_by: dict[str, list[str]] = {}
        self._rivals: dict[str, list[str]] = {}
        self._blocked_elsewhere: dict[str, list[str]] = {}
        self._beaten_elsewhere: dict[str, list[str]] = {}
        self._rank: dict[str, int] = {}

    @property
    def relations(self) -> Relations:
        return Relations(
            blocked_by=self._blocked_by,
            beaten_by=self._beaten_by,
            rivals=self._rivals,
            blocked_elsewhere=self._blocked_elsewhere,
            beaten_elsewhere=self._beaten_elsewhere,
            rank=self._rank,
        )

    def add(self, area: str, rule: Exclusion) -> None:
        """Add the relations that a rule of an area sets. Earlier rules about the same pair come first."""
        if isinstance(rule, HigherOf | ChoiceOf):
            for item in rule.items:
                if self._rules_over(area, item):
                    self._rank.setdefault(item, len(self._rank))
        for one, other in pairs_of(rule):
            if self._may_pair(area, rule, one, other) and self._is_first(one, other):
                self._add_pair(rule, one, other)
        for item, benefit in pairs_elsewhere(rule):
            if self._rules_over(area, item) and self._is_first(item, benefit):
                self._add_elsewhere(rule, item, benefit)

    def _rules_over(self, area: str, item: str) -> bool:
        return area in self._areas_of.get(item, ())

    def _may_pair(self, area: str, rule: Exclusion, one: str, other: str) -> bool:
        """Whether the list of an area may set a rule for two items. A block needs power over the blocked item only."""
        if not self._rules_over(area, one) or other not in self._areas_of:
            return False
        return isinstance(rule, Block) or self._rules_over(area, other)

    def _is_first(self, one: str, other: str) -> bool:
        """Whether no earlier rule was about this pair. The pair is remembered."""
        pair = frozenset((one, other))
        if pair in self._settled:
            return False
        self._settled.add(pair)
        return True

    def _add_pair(self, rule: Exclusion, one: str, other: str) -> None:
        if isinstance(rule, Block):
            self._blocked_by.setdefault(one, []).append(other)
        elif isinstance(rule, HigherOf | ChoiceOf):
            both = self._beaten_by if isinstance(rule, HigherOf) else self._rivals
            both.setdefault(one, []).append(other)
            both.setdefault(other, []).append(one)

    def _add_elsewhere(self, rule: Exclusion, item: str, benefit: str) -> None:
        if isinstance(rule, Block):
            self._blocked_elsewhere.setdefault(item, []).append(benefit)
        elif isinstance(rule, HigherOf):
            self._beaten_elsewhere.setdefault(item, []).append(benefit)


def related(items: set[str], sides: Iterable[Relations]) -> set[str]:
    """Return the items, and all items and benefits elsewhere that relations of any side connect with them, directly or
    through others, in both directions."""
    return tied(items, [(a, b) for side in sides for part in side[:-1] for a, others in part.items() for b in others])


def tied(items: set[str], pairs: Sequence[tuple[str, str]]) -> set[str]:
    """Return the items and all others that the pairs connect with them, directly or through further items."""
    neighbours: dict[str, set[str]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    found: set[str] = set()
    fresh = set(items)
    while fresh:
        found |= fresh
        fresh = {other for item in fresh for other in neighbours.get(item, ())} - found
    return found


def block(outcomes: Sequence[Outcome], relations: Relations) -> list[Outcome]:
    """Return the outcomes after the blocks: a granted item that a given item blocks is suppressed."""
    granted = {o.item for o in outcomes if o.state == "granted"}
    blocker_of = _blockers({o.item for o in outcomes if o.given}, relations)
    lost = {item: by for item in sorted(granted) if (by := blocker_of(item, ())) is not None}
    return [giving_way(o, "suppressed", lost[o.item]) if o.item in lost else o for o in outcomes]


def _blockers(given: Collection[str], relations: Relations) -> Callable[[str, tuple[str, ...]], str | None]:
    """Return a function that finds the item that blocks an item (None: no item does). A blocked item blocks nothing.

    The function calls itself. Its second argument has the items of the outer calls, so that it also ends if items block
    each other.
    """
    known: dict[str, str | None] = {}

    def blocker_of(item: str, asked: tuple[str, ...]) -> str | None:
        if item not in known:
            path = (*asked, item)
            rivals = (b for b in relations.blocked_by.get(item, ()) if b in given and b not in path)
            known[item] = next((b for b in rivals if blocker_of(b, path) is None), None)
        return known[item]

    return blocker_of


def beaten(outcomes: Sequence[Outcome], relations: Relations, giving: Collection[str] = ()) -> dict[str, str]:
    """Return the items that yield to a higher amount, each with the item of that amount. For equal amounts the rank
    decides.

    `giving`: items that give way for another reason, and so beat no item.
    """
    if not relations.beaten_by:
        return {}
    amounts = {o.item: o.amount_fen_per_month or 0 for o in outcomes if o.given and o.item not in giving}
    rank, last = relations.rank, len(relations.rank)
    lost: dict[str, str] = {}
    for item in sorted(amounts, key=lambda i: (-amounts[i], rank.get(i, last), i)):
        if item in lost:
            continue
        for other in relations.beaten_by.get(item, ()):
            if other in amounts and other not in lost and other != item:
                lost[other] = item
    return lost


def contested(outcomes: Sequence[Outcome], relations: Relations) -> bool:
    """Whether the person has two rivals (`Relations.rivals`), so that the person may choose."""
    given = {o.item for o in outcomes if o.given}
    return any(rival in given for item in given for rival in relations.rivals.get(item, ()))


def giving_way(outcome: Outcome, state: str, by: str | None) -> Outcome:
    """Return the outcome of an item that gives way to the item or benefit `by`, with its new state."""
    return msgspec.structs.replace(outcome, state=state, suppressed_by=by)
