"""The cost of a change of lists and the persons it affects, against a plain recomputation for random laws and lives."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import pytest
from common.calendar import add_months
from common.events import Entitlement, PayTerms
from random_lives import DAYS, Chance
from rules.deciding.decide import Decision, decide
from rules.deciding.lists import Lists
from rules.facts.timeline import facts_known_at
from rules.form.policy import PolicyList
from rules.money.due import due
from rules.money.effects import Effect, Figures, Window, effect_of, figures_of
from rules.money.groups import county_of, group_key
from rules.money.tallies import Stored, Tally

SEEDS = range(12)
PEOPLE = 8


def lists_of(law: dict[str, dict[str, Any]]) -> Lists:
    return Lists(msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items())


def edited(law: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]], chance: Chance) -> dict[str, Any]:
    """One area takes the list of another law."""
    area = chance.rng.choice([*law])
    return {**law, area: other[area]}


class Case:
    """Some persons under two sets of lists, and the months of the window."""

    def __init__(self, seed: int) -> None:
        chance = Chance(seed)
        law = chance.law()
        self.before, self.after = lists_of(law), lists_of(edited(law, chance.law(), chance))
        first = add_months(chance.first, chance.rng.randint(-2, 2))
        self.window = Window.of(first, chance.rng.randint(1, DAYS // 30), demo=chance.rng.random() < 0.5)
        self.lives = [(chance.statements(), chance.abilities(), chance.choices()) for _ in range(PEOPLE)]

    def decided(self, n: int, lists: Lists) -> Decision:
        statements, abilities, choices = self.lives[n]
        return decide(f"p{n}", facts_known_at(statements), abilities, lists, choices=choices)

    def tally(self, people: Sequence[int], *, unchanged: bool = False) -> Tally:
        tally = Tally()
        for n in people:
            was = self.decided(n, self.before)
            now = was if unchanged else self.decided(n, self.after)
            effect = effect_of(was.entitlements, now.entitlements, self.window, was.died_on)
            key = group_key(was.birth_date, was.residence, was.hukou, self.window)
            tally.count(f"p{n}", key, was.entitlements, now.entitlements, effect, self.window)
        return tally


@pytest.mark.parametrize("seed", SEEDS)
def test_the_money_is_the_sum_of_due_over_all_persons_and_months(seed: int) -> None:
    case = Case(seed)
    sides: list[Counter[Any]] = [Counter(), Counter()]
    earlier: Counter[Any] = Counter()
    figures = Figures()
    for n in range(PEOPLE):
        nets = Counter[str]()
        timelines = [case.decided(n, lists) for lists in (case.before, case.after)]
        for sums, decision, sign in zip(sides, timelines, (-1, 1), strict=True):
            far = add_months(case.window.end, 2)
            for line in due(decision.entitlements, through_month=far, died_on=decision.died_on, demo=case.window.demo):
                if case.window.first <= line.service_month < case.window.end:
                    sums[line.service_month, line.jurisdiction, line.fund, line.item, line.state] += line.amount_fen
                    nets["fen"] += sign * line.amount_fen * (line.state != "barred")
                elif line.service_month < case.window.first and line.state != "barred":
                    earlier[line.jurisdiction, line.fund, line.item] += sign * line.amount_fen
        changed = timelines[0].entitlements != timelines[1].entitlements
        figures = figures.plus(Figures(int(changed), max(nets["fen"], 0), max(-nets["fen"], 0)))
    tally = case.tally(range(PEOPLE))
    assert +Counter({tuple(k): m.fen_before for k, m in tally.money.items()}) == +sides[0]
    assert +Counter({tuple(k): m.fen_after for k, m in tally.money.items()}) == +sides[1]
    net = {tuple(k): m.more_fen - m.less_fen for k, m in tally.earlier.items()}
    assert {k: fen for k, fen in net.items() if fen} == {k: fen for k, fen in earlier.items() if fen}
    assert tally.figures == figures


@pytest.mark.parametrize("seed", SEEDS)
def test_the_counties_and_ages_come_to_the_same_money_as_the_funds(seed: int) -> None:
    tally = Case(seed).tally(range(PEOPLE))
    for side in ("fen_before", "fen_after"):
        by_fund = sum(getattr(m, side) for k, m in tally.money.items() if k.state != "barred")
        assert sum(getattr(g, side) for g in tally.groups.values()) == by_fund
    assert sum(g.people for g in tally.groups.values()) == PEOPLE
    assert sum(g.changed for g in tally.groups.values()) == tally.figures.people_changed
    assert all(g.winners + g.losers + g.mixed <= g.changed for g in tally.groups.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_chunks_in_any_order_come_to_the_whole(seed: int) -> None:
    case = Case(seed)
    rng = random.Random(seed)
    people = [*range(PEOPLE)]
    rng.shuffle(people)
    cut = rng.randint(0, PEOPLE)
    parts = [case.tally(people[:cut]), case.tally(people[cut:])]
    whole = Tally()
    for part in rng.sample(parts, 2):  # as it comes from another process
        whole.add(Tally.of(msgspec.json.decode(msgspec.json.encode(part.stored()), type=Stored)))
    assert whole.stored() == case.tally(range(PEOPLE)).stored()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_lists_change_nothing_for_anybody(seed: int) -> None:
    tally = Case(seed).tally(range(PEOPLE), unchanged=True)
    assert tally.figures == Figures()
    assert all(m.fen_before == m.fen_after for m in tally.money.values())
    assert all(g.changed == g.winners == g.losers == g.mixed == 0 for g in tally.groups.values())
    assert all(i.have_before == i.have_after for i in tally.items.values())
    assert not tally.earlier
    assert not tally.examples


@pytest.mark.parametrize("seed", SEEDS)
def test_the_figures_alone_are_those_of_the_whole_effect(seed: int) -> None:
    case = Case(seed)
    for n in range(PEOPLE):
        was, now = (case.decided(n, lists) for lists in (case.before, case.after))
        one, other = was.entitlements, now.entitlements
        assert figures_of(one, other, case.window, was.died_on) == (
            effect_of(one, other, case.window, was.died_on).figures
        )


# ── single people ───────────────────────────────────────────────────────────────────────────────────────────

YEAR = Window.of(date(2027, 1, 1), 12)


def has(item: str, start: str, fen: int | None = None, to: str | None = None, **more: Any) -> Entitlement:
    return Entitlement(
        **{
            "entitlement_id": f"{item}{start}",
            "item": item,
            "jurisdiction": "530302",
            "kind": "service" if fen is None else "cash",
            "state": "granted",
            "from_": date.fromisoformat(start),
            "to": date.fromisoformat(to) if to else None,
            "amount_fen_per_month": fen,
            "pay": PayTerms(status="documented") if fen else None,
            **more,
        }
    )


def effect(before: list[Entitlement], after: list[Entitlement]) -> Effect:
    return effect_of(before, after, YEAR)


def test_more_money_is_a_gain_and_less_of_a_visit_a_loss_and_both_may_meet_in_one_person() -> None:
    richer = effect(
        [has("longevity_allowance", "2020-01-01", 5000), has("visiting_care", "2020-01-01", interval_days=7)],
        [
            has("longevity_allowance", "2020-01-01", 5000, "2027-07-01"),
            has("longevity_allowance", "2027-07-01", 8000),
            has("visiting_care", "2020-01-01", interval_days=14),
        ],
    )
    assert (richer.gains, richer.loses) == (True, True)
    assert dict(richer.changes) == {"longevity_allowance": "more", "visiting_care": "less"}
    assert richer.figures == Figures(1, 5 * 3000, 0)  # the new amount counts from the month after


def test_money_for_months_before_the_window_is_counted_separately() -> None:
    late = effect([], [has("longevity_allowance", "2026-09-15", 5000)])
    assert late.earlier == {("530302", "county", "longevity_allowance"): 3 * 5000}
    assert late.figures == Figures(1, 12 * 5000, 0)
    past = effect([], [has("longevity_allowance", "2026-09-15", 5000, "2026-11-15")])
    assert (past.gains, past.figures, sum(past.earlier.values())) == (True, Figures(1, 0, 0), 2 * 5000)


def test_a_new_question_and_an_item_that_gives_way_are_counted() -> None:
    found = effect(
        [has("care_voucher", "2020-01-01", 1000)],
        [
            has("care_voucher", "2020-01-01", 1000, state="suppressed", suppressed_by="nursing_subsidy"),
            has("nursing_subsidy", "2020-01-01", 1000, state="unknown", missing_facts=("ability_result",)),
        ],
    )
    assert set(found.changes) == {
        ("care_voucher", "lost"),
        ("care_voucher", "suppressed"),
        ("nursing_subsidy", "asked"),
    }


def test_another_clause_for_the_same_is_a_change_without_winner_or_loser() -> None:
    found = effect(
        [has("health_management", "2020-01-01", policy="a")], [has("health_management", "2020-01-01", policy="b")]
    )
    assert (found.changed, found.gains, found.loses, found.changes) == (True, False, False, ())


def test_money_by_an_example_is_not_paid_outside_a_demonstration() -> None:
    amount = [has("longevity_allowance", "2020-01-01", 5000, policy_status="example")]
    assert effect([], amount).figures == Figures(1, 0, 0)
    assert effect_of([], amount, YEAR._replace(demo=True)).figures == Figures(1, 12 * 5000, 0)


def test_a_village_is_counted_in_its_county() -> None:
    assert [county_of(d) for d in ("530302001002", "530302", "530300")] == ["530302", "530302", "530300"]
