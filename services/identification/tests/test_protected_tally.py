"""Protected numbers of a simulation: a sum reveals no more than its parts."""

from datetime import date

from common.events import Entitlement, PayTerms
from hypothesis import assume, given
from hypothesis import strategies as st
from identification.simulating.domain.protected_tally import protect, protected_tally
from rules.money.effects import Figures, Window, effect_of
from rules.money.groups import GroupKey
from rules.money.parts import Part
from rules.money.tallies import EarlierKey, EarlierMoney, Group, ItemCount, Money, MoneyKey, Stored, Tally

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
    tally = tally_of({(key := GroupKey("530302", "80-89")): group})
    constant = people - winners
    tally.group_parts = {
        (key, "rises"): Part(winners, winners * FEN, 2 * winners * FEN),
        (key, "stays"): Part(constant, constant * FEN, constant * FEN),
    }
    found = protected_tally(tally).groups
    if people < 5:
        assert found == {}
        return
    (shown,) = found.values()
    parts = (shown.winners, shown.losers, shown.mixed, shown.changed - shown.winners - shown.losers - shown.mixed)
    assert parts == tuple(map(protect, (winners, losers, mixed, rest)))
    assert shown.fen_before == (protect(winners) + protect(constant)) * FEN
    assert shown.fen_after == shown.fen_before + protect(winners) * FEN
    assert shown.people == protect(people)
    assert not any(set(possible(part)) <= set(SMALL) for part in parts)


def test_a_hidden_group_is_in_no_sum_and_has_no_line() -> None:
    small, large = Group(3, 3, 3, 0, 0, 0, 3 * FEN, 6 * FEN), Group(8, 8, 8, 0, 0, 0, 8 * FEN, 16 * FEN)
    tally = tally_of({GroupKey("530302", "90-99"): small, GroupKey("530302", "80-89"): large})
    tally.group_parts = {
        (GroupKey("530302", "90-99"), "rises"): Part(3, 3 * FEN, 6 * FEN),
        (GroupKey("530302", "80-89"), "rises"): Part(8, 8 * FEN, 16 * FEN),
    }
    tally.figures = Figures(11, 11 * FEN, 0)
    month = MoneyKey(date(2026, 12, 1), "530302", "county", "longevity_allowance", "held")
    due = month._replace(state="due")
    tally.money = {month: Money(0, 2 * FEN, 0, 2), due: Money(11 * FEN, 9 * FEN, 11, 9)}
    tally.money_parts = {
        (month, "begins"): Part(2, 0, 2 * FEN),
        (due, "ends"): Part(2, 2 * FEN, 0),
        (due, "stays"): Part(9, 9 * FEN, 9 * FEN),
    }
    tally.earlier = {EarlierKey("530302", "county", "longevity_allowance"): EarlierMoney(FEN, 0)}
    tally.examples = {"winner": ["p"]}
    found = protected_tally(tally)
    assert found.groups == {GroupKey("530302", "80-89"): Group(5, 5, 5, 0, 0, 0, 5 * FEN, 10 * FEN)}
    assert found.figures == Figures(5, 5 * FEN, 0)
    assert found.money == {due: Money(5 * FEN, 5 * FEN, 5, 5)}
    assert (found.earlier, found.examples) == ({}, {})


@given(kept=FEW, gained=FEW, lost=FEW)
def test_no_difference_reveals_people_who_gain_or_lose_an_item(kept: int, gained: int, lost: int) -> None:
    tally = Tally()
    tally.items = {"dibao": ItemCount(have_before=kept + lost, have_after=kept + gained, gained=gained, lost=lost)}
    shown = protected_tally(tally).items.get("dibao", ItemCount())
    assert (shown.gained, shown.lost) == (protect(gained), protect(lost))
    assert shown.have_before - shown.lost == shown.have_after - shown.gained == protect(kept)


# ── single people ───────────────────────────────────────────────────────────────────────────────────────────

YEAR = Window.of(date(2027, 1, 1), 12)
Sides = tuple[list[Entitlement], list[Entitlement]]
NOTHING: Sides = ([], [])


def has(item: str, **fields: object) -> list[Entitlement]:
    common = {"entitlement_id": item, "item": item, "jurisdiction": "530302", "state": "granted", "to": None}
    return [Entitlement(**{**common, "from_": date(2020, 1, 1), **fields})]  # type: ignore[arg-type]


def money(fen: int) -> list[Entitlement]:
    terms = PayTerms(status="documented")
    return has("longevity_allowance", kind="cash", amount_fen_per_month=fen, pay=terms) if fen else []


def visits(interval_days: int) -> list[Entitlement]:
    return has("visiting_care", kind="service", interval_days=interval_days) if interval_days else []


def shown_of(*people: Sides) -> Stored:
    """The tally as it is shown to a caller who may not see these people."""
    tally = Tally()
    for n, (before, after) in enumerate(people):
        effect = effect_of(before, after, YEAR)
        tally.count(f"p{n}", GroupKey("530302", "80-89"), before, after, effect, YEAR)
    return protected_tally(tally).stored()


MANY: list[Sides] = [(visits(14), visits(7))] * 100 + [(money(FEN), money(FEN))] * 20


def test_one_person_who_loses_money_among_many_with_more_visits_changes_no_number() -> None:
    shown = shown_of(*MANY, (money(30_000), []))
    assert shown == shown_of(*MANY, NOTHING)
    ((_, group),) = shown.groups
    assert (group.changed, group.losers, group.fen_before) == (100, 0, 20 * FEN * 12)
    assert (group.fen_after, shown.figures) == (group.fen_before, Figures(100, 0, 0))


@given(few=st.integers(0, 4), before=st.integers(0, 10) | st.just(FEN), after=st.integers(0, 10) | st.just(FEN))
def test_the_money_of_few_people_changes_no_number(few: int, before: int, after: int) -> None:
    assume(before != after)
    hidden: list[Sides] = [(money(before * FEN), money(after * FEN))] * few
    assert shown_of(*MANY, *hidden, *[NOTHING] * (4 - few)) == shown_of(*MANY, *[NOTHING] * 4)


@given(few=st.integers(0, 4), before=st.sampled_from((0, 7, 14, 30)), after=st.sampled_from((0, 14, 30)))
def test_the_visits_of_few_people_change_no_number(few: int, before: int, after: int) -> None:
    assume(before != after and (before, after) != (30, 14))
    hidden: list[Sides] = [(visits(before), visits(after))] * few
    assert shown_of(*MANY, *hidden, *[NOTHING] * (4 - few)) == shown_of(*MANY, *[NOTHING] * 4)
