"""Protect small groups in the numbers of a simulation, for callers who may not see its people.

Every count is protected by itself, and a sum is the sum of its protected parts. Money is reduced in the proportion of
its people. So no sum and no difference reveals a small group.
"""

from typing import Final

from rules.money.effects import Figures
from rules.money.tallies import Group, ItemCount, Money, Tally

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
    groups = {key: _group(group) for key, group in tally.groups.items()}
    items = {key: _item(count) for key, count in tally.items.items()}
    money = {key: _money(sums) for key, sums in tally.money.items()}
    found.groups = {key: group for key, group in groups.items() if group.people}
    found.items = {key: count for key, count in items.items() if count != ItemCount()}
    found.money = {key: sums for key, sums in money.items() if sums != Money()}
    found.figures = _figures(tally, found)
    return found


def _figures(tally: Tally, protected: Tally) -> Figures:
    gaining = sum(group.winners + group.mixed for group in tally.groups.values())
    losing = sum(group.losers + group.mixed for group in tally.groups.values())
    return Figures(
        sum(group.changed for group in protected.groups.values()),
        _share(tally.figures.raised_fen, gaining),
        _share(tally.figures.cut_fen, losing),
    )


def _group(group: Group) -> Group:
    """Return the protected group. Its changed people are the sum of the protected winners, losers, mixed and others."""
    winners, losers, mixed = protect(group.winners), protect(group.losers), protect(group.mixed)
    rest = group.changed - group.winners - group.losers - group.mixed
    changed = winners + losers + mixed + protect(rest)
    before = _share(group.fen_before, group.people)
    more = group.fen_after - group.fen_before
    return Group(
        people=protect(group.people),
        changed=changed,
        winners=winners,
        losers=losers,
        mixed=mixed,
        asked=protect(group.asked),
        fen_before=before,
        fen_after=before + (more * changed // group.changed if changed else 0),
    )


def _item(count: ItemCount) -> ItemCount:
    """Return the protected count. Its totals are sums of protected parts: people who keep, lose or gain the item."""
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
        visits_before=_share(count.visits_before, count.have_before),
        visits_after=_share(count.visits_after, count.have_after),
    )


def _money(sums: Money) -> Money:
    return Money(
        fen_before=_share(sums.fen_before, sums.payees_before),
        fen_after=_share(sums.fen_after, sums.payees_after),
        payees_before=protect(sums.payees_before),
        payees_after=protect(sums.payees_after),
    )


def _share(amount: int, people: int) -> int:
    """Return the part of an amount that belongs to the protected count of its people."""
    return amount * protect(people) // people if people else 0
