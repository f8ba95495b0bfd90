"""Numbers of a simulation for callers who may not see its people: no small group can be derived from them.

Counts that add up to another one are protected one by one, and the other one is the sum of the protected counts. Money
shrinks with the count of its people. So a sum says no more than its parts, and no difference shows what is left out.
"""

from typing import Final

from rules.money.effects import Figures
from rules.money.tallies import Group, ItemCount, Money, Tally

SMALL_CELL: Final = 5  # fewer people are left out
ROUNDED_TO: Final = 5  # other counts are rounded down to a multiple


def protect(people: int) -> int:
    return 0 if people < SMALL_CELL else people - people % ROUNDED_TO


def protected_tally(tally: Tally) -> Tally:
    """The tally with protected counts and their money, without what has no count of people (earlier months) and
    without examples. Lines of which nothing is left are dropped: their existence would show a small group."""
    found = Tally()
    groups = {key: _group(group) for key, group in tally.groups.items()}
    items = {key: _item(count) for key, count in tally.items.items()}
    money = {key: _money(sums) for key, sums in tally.money.items()}
    found.groups = {key: group for key, group in groups.items() if group.people}
    found.items = {key: count for key, count in items.items() if count != ItemCount()}
    found.money = {key: sums for key, sums in money.items() if sums != Money()}
    true = tally.groups.values()
    found.figures = Figures(
        sum(group.changed for group in found.groups.values()),
        _share(tally.figures.raised_fen, sum(g.winners + g.mixed for g in true)),
        _share(tally.figures.cut_fen, sum(g.losers + g.mixed for g in true)),
    )
    return found


def _group(group: Group) -> Group:
    """Winners, losers, mixed and the rest make up the changed."""
    parts = [protect(n) for n in (group.winners, group.losers, group.mixed)]
    changed = sum(parts) + protect(group.changed - group.winners - group.losers - group.mixed)
    before = _share(group.fen_before, group.people)
    more = group.fen_after - group.fen_before
    return Group(
        people=protect(group.people),
        changed=changed,
        winners=parts[0],
        losers=parts[1],
        mixed=parts[2],
        asked=protect(group.asked),
        fen_before=before,
        fen_after=before + (more * changed // group.changed if changed else 0),
    )


def _item(count: ItemCount) -> ItemCount:
    """Those who keep an item and those who lose it had it; those who keep it and those who gain it have it."""
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
    """The part of an amount that belongs to the protected count of its people."""
    return amount * protect(people) // people if people else 0
