"""Items that may not be had together. What gives way stays visible, and so comes back by itself.

For any two items the nearest list that has a rule about both decides, as the nearest list decides about an item; a
list speaks of the items of those people only who belong to it by the place which the item follows. Only what is given
excludes anything: whatever gives way itself stands in nobody's way, and neither does money of which no list says how
much.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rules.deciding.outcome import Outcome
from rules.form.exclusion_rules import Block, ChoiceOf, Exclusion, HigherOf, pairs_elsewhere, pairs_of


class Relations(NamedTuple):
    """What the rules make of the items that count for somebody: for each item the others, in the order of the rules.

    `blocked_by`: any of them given, the item is not. `beaten_by`: of the two the higher amount is given. `rivals`: of
    the two the person has one and may choose. `blocked_elsewhere`, `beaten_elsewhere`: for an item the benefits of
    other offices that block it, or that it is held against. `rank`: which of two items the rules name first.
    """

    blocked_by: Mapping[str, Sequence[str]]
    beaten_by: Mapping[str, Sequence[str]]
    rivals: Mapping[str, Sequence[str]]
    blocked_elsewhere: Mapping[str, Sequence[str]]
    beaten_elsewhere: Mapping[str, Sequence[str]]
    rank: Mapping[str, int]


def relate(rules: Sequence[tuple[str, Sequence[Exclusion]]], areas_of: Mapping[str, Collection[str]]) -> Relations:
    """`rules` by area, nearest first. `areas_of`: every item with the areas whose lists may speak of it."""
    found: Sequence[dict[str, list[str]]] = [{}, {}, {}, {}, {}]
    rank: dict[str, int] = {}
    settled: set[frozenset[str]] = set()
    for area, rule in ((area, rule) for area, of_area in rules for rule in of_area):
        if isinstance(rule, HigherOf | ChoiceOf):
            for item in rule.items:
                if area in areas_of.get(item, ()):
                    rank.setdefault(item, len(rank))
        for one, other in pairs_of(rule):
            pair = frozenset((one, other))
            if pair in settled or area not in areas_of.get(one, ()) or other not in areas_of:
                continue
            if not isinstance(rule, Block) and area not in areas_of[other]:
                continue
            settled.add(pair)
            if isinstance(rule, Block):
                found[0].setdefault(one, []).append(other)
            elif isinstance(rule, HigherOf | ChoiceOf):
                both = found[1] if isinstance(rule, HigherOf) else found[2]
                both.setdefault(one, []).append(other)
                both.setdefault(other, []).append(one)
        for item, benefit in pairs_elsewhere(rule):
            pair = frozenset((item, benefit))
            if pair not in settled and area in areas_of.get(item, ()):
                settled.add(pair)
                if isinstance(rule, Block | HigherOf):
                    found[3 if isinstance(rule, Block) else 4].setdefault(item, []).append(benefit)
    return Relations(found[0], found[1], found[2], found[3], found[4], rank)


def related(items: set[str], sides: Iterable[Relations]) -> set[str]:
    """These items and all that anything about them can hang on."""
    return tied(items, [(a, b) for side in sides for part in side[:-1] for a, others in part.items() for b in others])


def tied(items: set[str], pairs: Sequence[tuple[str, str]]) -> set[str]:
    """These items and whatever any chain of pairs ties to them."""
    found: set[str] = set()
    fresh = items
    while fresh:
        found |= fresh
        fresh = {b for pair in pairs for a, b in (pair, pair[::-1]) if a in fresh} - found
    return found


def block(outcomes: Sequence[Outcome], relations: Relations) -> list[Outcome]:
    """Those suppressed that something given blocks."""
    granted = {o.item for o in outcomes if o.state == "granted"}
    given = {o.item for o in outcomes if o.given}
    winner: dict[str, str | None] = {}

    def ask(item: str, asked: tuple[str, ...]) -> str | None:
        """What blocks an item. Rules that run in a circle end where they come back to themselves."""
        if item not in winner:
            rest = (*asked, item)
            by = (b for b in relations.blocked_by.get(item, ()) if b in given and b not in rest)
            winner[item] = next((b for b in by if ask(b, rest) is None), None)
        return winner[item]

    lost = {item: by for item in sorted(granted) if (by := ask(item, ())) is not None}
    return [giving_way(o, "suppressed", lost[o.item]) if o.item in lost else o for o in outcomes]


def beaten(outcomes: Sequence[Outcome], relations: Relations, giving: Collection[str] = ()) -> dict[str, str]:
    """The granted items that yield to a higher amount, with the item they yield to; at equal amounts the one that the
    rules name first stays. `giving`: items that give way for another reason and so beat nobody.
    """
    if not relations.beaten_by:
        return {}
    amounts = {o.item: o.amount_fen_per_month or 0 for o in outcomes if o.given and o.item not in giving}
    rank, last = relations.rank, len(relations.rank)
    lost: dict[str, str] = {}
    for item in sorted(amounts, key=lambda i: (-amounts[i], rank.get(i, last), i)):
        if item not in lost:
            for other in relations.beaten_by.get(item, ()):
                if other in amounts and other not in lost and other != item:
                    lost[other] = item
    return lost


def contested(outcomes: Sequence[Outcome], relations: Relations) -> bool:
    """Whether the person has two items of which they may have one."""
    given = {o.item for o in outcomes if o.given}
    return any(rival in given for item in given for rival in relations.rivals.get(item, ()))


def giving_way(outcome: Outcome, state: str, by: str | None) -> Outcome:
    return msgspec.structs.replace(outcome, state=state, suppressed_by=by)
