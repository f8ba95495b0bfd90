"""Protect small groups in the numbers of a simulation, for callers who may not see its people.

Every count is protected by itself, and a sum is the sum of its protected parts. Money and visits are divided into the
parts of `rules.money.parts`. A part of few people is left out; that of others is reduced in the proportion of their
protected count. So a small part changes no sum and no difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from rules.money.effects import Figures
from rules.money.parts import Direction, Part
from rules.money.tallies import Group, ItemCount, Money, Tally

K = TypeVar("K")
SMALL_CELL: Final = 5  # fewer people are left out
ROUNDED_TO: Final = 5  # other counts are rounded down to a multiple


def protect(people: int) -> int:
    """Return the protected count of people: 0 below SMALL_CELL, else rounded down to a multiple of ROUNDED_TO."""
    return 0 if people < SMALL_CELL else people - people % ROUNDED_TO


def protected_tally(tally: Tally) -> Tally:
    """Return the tally with protected counts and their money.

    Earlier months (they have no count of people) and examples are left out. Empty lines are left out too, because a
    line of zeros would reveal a small group.
    """
    found = Tally()
    parts, visits, fen = _protected(tally.group_parts), _protected(tally.item_parts), _protected(tally.money_parts)
    groups = {key: _group(group, parts[key]) for key, group in tally.groups.items()}
    items = {key: _item(count, visits[key]) for key, count in tally.items.items()}
    money = {key: _money(fen[key]) for key in tally.money}
    found.groups = {key: group for key, group in groups.items() if group.people}
    found.items = {key: count for key, count in items.items() if count != ItemCount()}
    found.money = {key: sums for key, sums in money.items() if sums != Money()}
    found.figures = _figures(found, [part for each in parts.values() for part in each])
    return found


def _protected(parts: Mapping[tuple[K, Direction], Part]) -> defaultdict[K, list[Part]]:
    """Return the protected parts by key, without those of few people."""
    found: defaultdict[K, list[Part]] = defaultdict(list)
    for (key, _), part in parts.items():
        people = protect(part.people)
        if people:
            before, after = part.before * people // part.people, part.after * people // part.people
            found[key].append(Part(people, before, after))
    return found


def _figures(protected: Tally, parts: Iterable[Part]) -> Figures:
    """Return the protected figures. `parts`: the protected parts of all groups."""
    more = [part.after - part.before for part in parts]
    return Figures(
        sum(group.changed for group in protected.groups.values()),
        sum(max(fen, 0) for fen in more),
        sum(max(-fen, 0) for fen in more),
    )


def _group(group: Group, parts: Iterable[Part]) -> Group:
    """Return the protected group. Its changed people are the sum of the protected winners, losers, mixed and others.
    Its money is that of its protected parts."""
    winners, losers, mixed = protect(group.winners), protect(group.losers), protect(group.mixed)
    rest = group.changed - group.winners - group.losers - group.mixed
    changed = winners + losers + mixed + protect(rest)
    before, after = _sums(parts)
    return Group(
        people=protect(group.people),
        changed=changed,
        winners=winners,
        losers=losers,
        mixed=mixed,
        asked=protect(group.asked),
        fen_before=before,
        fen_after=after,
    )


def _item(count: ItemCount, parts: Iterable[Part]) -> ItemCount:
    """Return the protected count. Its totals are sums of protected parts: people who keep, lose or gain the item.
    `parts`: the protected parts of its visits."""
    visits_before, visits_after = _sums(parts)
    gained, lost = protect(count.gained), protect(count.lost)
    return ItemCount(
        have_before=protect(count.have_before - count.lost) + lost,
        have_after=protect(count.have_after - count.gained) + gained,
        gained=gained,
        lost=lost,
        more=protect(count.more),
        less=protect(count.less),
        asked=protect(count.asked),
        suppressed=protect(count.suppressed),
        visits_before=visits_before,
        visits_after=visits_after,
    )


def _money(parts: Iterable[Part]) -> Money:
    """Return the protected money and its payees, as the sums of the protected parts."""
    money = Money()
    for part in parts:
        money.fen_before += part.before
        money.fen_after += part.after
        money.payees_before += part.people if part.before else 0
        money.payees_after += part.people if part.after else 0
    return money


def _sums(parts: Iterable[Part]) -> tuple[int, int]:
    """Return the sums of protected parts before and after the change."""
    found = list(parts)
    return sum(part.before for part in found), sum(part.after for part in found)
