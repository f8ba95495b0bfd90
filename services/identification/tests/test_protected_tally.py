"""Protected numbers of a simulation: a sum reveals no more than its parts."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from identification.simulating.domain.protected_tally import protect, protected_tally
from rules.money.effects import Figures
from rules.money.tallies import EarlierKey, EarlierMoney, Group, GroupKey, ItemCount, Money, MoneyKey, Tally

SMALL = range(1, 5)
FEW = st.integers(0, 14)
FEN = 5000


def possible(shown: int) -> range:
    """The counts that are shown as this number."""
    return range(shown, shown + 5)


def tally_of(groups: dict[GroupKey, Group]) -> Tally:
    tally = Tally()
    tally.groups = groups
    return tally


@given(winners=FEW, losers=FEW, mixed=FEW, rest=FEW, same=FEW)
def test_no_small_part_of_a_group_follows_from_its_sums(
    winners: int, losers: int, mixed: int, rest: int, same: int
) -> None:
    """The sum of the changed people leaves each part as open as its own number."""
    changed = winners + losers + mixed + rest
    people = changed + same
    group = Group(people, changed, winners, losers, mixed, 0, people * FEN, people * FEN + winners * FEN)
    found = protected_tally(tally_of({GroupKey("530302", "80-89"): group})).groups
    if people < 5:
        assert found == {}
        return
    (shown,) = found.values()
    parts = (shown.winners, shown.losers, shown.mixed, shown.changed - shown.winners - shown.losers - shown.mixed)
    assert parts == tuple(map(protect, (winners, losers, mixed, rest)))
    assert shown.fen_before == shown.people * FEN  # and not the number of people times the amount
    assert shown.people == protect(people)
    assert not any(set(possible(part)) <= set(SMALL) for part in parts)


def test_a_hidden_group_is_in_no_sum_and_has_no_line() -> None:
    small, large = Group(3, 3, 3, 0, 0, 0, 3 * FEN, 6 * FEN), Group(8, 8, 8, 0, 0, 0, 8 * FEN, 16 * FEN)
    tally = tally_of({GroupKey("530302", "90-99"): small, GroupKey("530302", "80-89"): large})
    tally.figures = Figures(11, 11 * FEN, 0)
    month = MoneyKey(date(2026, 12, 1), "530302", "county", "longevity_allowance", "held")
    tally.money = {month: Money(0, 2 * FEN, 0, 2), month._replace(state="due"): Money(11 * FEN, 9 * FEN, 11, 9)}
    tally.earlier = {EarlierKey("530302", "county", "longevity_allowance"): EarlierMoney(FEN, 0)}
    tally.examples = {"winner": ["p"]}
    found = protected_tally(tally)
    assert found.groups == {GroupKey("530302", "80-89"): Group(5, 5, 5, 0, 0, 0, 5 * FEN, 10 * FEN)}
    assert found.figures == Figures(5, 10 * FEN, 0)
    assert found.money == {month._replace(state="due"): Money(10 * FEN, 5 * FEN, 10, 5)}
    assert (found.earlier, found.examples) == ({}, {})


@given(kept=FEW, gained=FEW, lost=FEW)
def test_no_difference_reveals_people_who_gain_or_lose_an_item(kept: int, gained: int, lost: int) -> None:
    tally = Tally()
    tally.items = {"dibao": ItemCount(have_before=kept + lost, have_after=kept + gained, gained=gained, lost=lost)}
    shown = protected_tally(tally).items.get("dibao", ItemCount())
    assert (shown.gained, shown.lost) == (protect(gained), protect(lost))
    assert shown.have_before - shown.lost == shown.have_after - shown.gained == protect(kept)
