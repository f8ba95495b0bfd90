"""Items that a person may not have together: the four modes, items that come back, and choices."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any

import msgspec
import pytest
from common.events.entitlement import Entitlement
from common.events.facts import (
    Death,
    Disability,
    LivingSituation,
    LowIncome,
    Registration,
    Residence,
    SpecialFamily,
    Value,
)
from rules.deciding.choices import Choice
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.timeline import Fact
from rules.form.policy import from_event
from rules.words.explain import explain

FIRST = date(2024, 1, 1)
CITATION = {"title": "试验清单", "issuer": "试验局", "date": "2024-01-01", "locator": "第1条"}
PAY = {"start": "next_month", "stop": "next_month", "band_change": "next_month", "when": "arrears", "status": "example"}
# Four items, each for persons with one kind of fact; the value of the fact is the amount.
NURSING, SEVERE, LIVING, WELFARE = (
    "nursing_subsidy",
    "severe_disability_nursing_subsidy",
    "disability_living_subsidy",
    "care_service_subsidy",
)
WANTS = {
    NURSING: {"low_income_in": ["dibao"]},
    SEVERE: {"disability": {"levels": [1]}},
    LIVING: {"special_family": ["dead"]},
    WELFARE: {"living_tag": ["alone"]},
}
SAYS: dict[str, Value] = {
    NURSING: LowIncome(category="dibao"),
    SEVERE: Disability(class_=1, level=1),
    LIVING: SpecialFamily(only_child="dead"),
    WELFARE: LivingSituation(tags=("alone",)),
}
KIND = {NURSING: "low_income", SEVERE: "disability", LIVING: "special_family", WELFARE: "living_situation"}


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def rule(mode: str, *items: str, since: int = 0, until: int | None = None, **more: Any) -> dict[str, Any]:
    period = {"valid_from": day(since)} | ({} if until is None else {"valid_to": day(until)})
    return {"mode": mode, "items": items, "status": "documented", "citation": CITATION, **period, **more}


def lists(*rules: dict[str, Any], fen: dict[str, int | None] | None = None, near: Any = ()) -> Lists:
    """The nation with four items and the given rules, and the county 530302 with rules of its own. `fen`: None if
    the list sets no amount."""
    items = {
        name: {
            "item": name,
            "title": name,
            "kind": "cash",
            "follows": "hukou",
            "versions": [
                {
                    "valid_from": day(0),
                    "status": "documented",
                    "citation": CITATION,
                    "conditions": wants,
                }
                | (
                    {}
                    if (yields := (fen or {}).get(name, 100)) is None
                    else {"amount": {"flat_fen": yields}, "pay": PAY}
                )
            ],
        }
        for name, wants in WANTS.items()
    }
    nation = from_event({"jurisdiction": "000000", "items": items, "exclusions": list(rules)})
    return Lists([nation, from_event({"jurisdiction": "530302", "exclusions": list(near)})])


def chooses(item: str, n: int, minute: int = 0) -> Choice:
    at = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=minute)
    return Choice(choice_id=f"{item}@{n}", item=item, chosen_on=day(n), recorded_at=at)


def facts_of(periods: dict[str, list[tuple[int, int | None]]], hukou: str = "530302") -> list[Fact]:
    born = Registration(sex="1", birth_date=date(1940, 1, 1), hukou_division=hukou, hukou_kind="rural")
    found = [Fact("registration", born, None, None, "born", "s", 1)]
    for item, spans in periods.items():
        for since, until in spans:
            end = None if until is None else day(until)
            found.append(Fact(KIND[item], SAYS[item], day(since), end, f"{item}{since}", "s", 1))
    return sorted(found, key=lambda f: (f.kind, f.valid_from or date.min))


def told(law: Lists, facts: list[Fact], *choices: Choice) -> dict[str, list[tuple[Any, ...]]]:
    """The intervals by item: (first day, last day + 1, state, suppressed by)."""
    shown: dict[str, list[tuple[Any, ...]]] = {}
    for e in decide("p", facts, [], law, choices=choices).entitlements:
        until = None if e.to is None else (e.to - FIRST).days
        shown.setdefault(e.item, []).append(((e.from_ - FIRST).days, until, e.state, e.suppressed_by))
    return shown


CHOICE = rule("choice", NURSING, SEVERE)


def test_the_item_that_a_person_has_stays_and_a_further_one_asks_until_the_first_ends() -> None:
    assert told(lists(CHOICE), facts_of({NURSING: [(5, 20)], SEVERE: [(10, None)]})) == {
        NURSING: [(5, 20, "granted", None)],
        SEVERE: [(10, 20, "choice_required", NURSING), (20, None, "granted", None)],
    }


def test_who_comes_back_is_a_newcomer() -> None:
    assert told(lists(CHOICE), facts_of({NURSING: [(5, 10), (15, None)], SEVERE: [(7, None)]})) == {
        NURSING: [(5, 10, "granted", None), (15, None, "choice_required", SEVERE)],
        SEVERE: [(7, 10, "choice_required", NURSING), (10, None, "granted", None)],
    }


def test_where_nothing_is_had_yet_all_ask_and_a_choice_settles_it() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(5, None)]})
    assert told(law, facts) == {
        NURSING: [(5, None, "choice_required", None)],
        SEVERE: [(5, None, "choice_required", None)],
    }
    assert told(law, facts, chooses(SEVERE, 9)) == {
        NURSING: [(5, 9, "choice_required", None), (9, None, "suppressed", SEVERE)],
        SEVERE: [(5, 9, "choice_required", None), (9, None, "granted", None)],
    }


def test_a_choice_replaces_an_item_which_comes_back_when_the_chosen_item_ends() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(10, 30)]})
    assert told(law, facts, chooses(SEVERE, 12)) == {
        NURSING: [(5, 12, "granted", None), (12, 30, "suppressed", SEVERE), (30, None, "granted", None)],
        SEVERE: [(10, 12, "choice_required", NURSING), (12, 30, "granted", None)],
    }


def test_a_choice_lapses_when_the_chosen_item_ends_and_does_not_come_back_with_it() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(10, 20), (25, None)]})
    assert told(law, facts, chooses(SEVERE, 12))[SEVERE] == [
        (10, 12, "choice_required", NURSING),
        (12, 20, "granted", None),
        (25, None, "choice_required", NURSING),
    ]


def test_a_choice_of_an_item_that_is_not_given_that_day_does_not_count() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(10, None)]})
    assert told(law, facts, chooses(SEVERE, 8)) == told(law, facts)


def test_a_later_choice_takes_the_place_of_an_earlier_one_whatever_was_recorded_first() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(5, 30), (40, None)]})
    choices = chooses(NURSING, 20, minute=1), chooses(SEVERE, 10, minute=2)
    wanted = {
        NURSING: [
            (5, 10, "choice_required", None),
            (10, 20, "suppressed", SEVERE),
            (20, None, "granted", None),
        ],
        SEVERE: [
            (5, 10, "choice_required", None),
            (10, 20, "granted", None),
            (20, 30, "suppressed", NURSING),
            (40, None, "suppressed", NURSING),
        ],
    }
    assert told(law, facts, *choices) == told(law, facts, *reversed(choices)) == wanted


def test_a_choice_that_was_replaced_does_not_come_back_when_the_later_one_lapses() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, 30), (40, None)], SEVERE: [(5, None)]})
    assert told(law, facts, chooses(SEVERE, 10), chooses(NURSING, 20))[NURSING] == [
        (5, 10, "choice_required", None),
        (10, 20, "suppressed", SEVERE),
        (20, 30, "granted", None),
        (40, None, "choice_required", SEVERE),
    ]


def test_of_two_choices_for_one_day_the_later_recorded_counts() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(5, None)]})
    first, second = chooses(NURSING, 9, minute=1), chooses(SEVERE, 9, minute=2)
    assert told(law, facts, second, first)[SEVERE][-1] == (9, None, "granted", None)


def test_when_a_rule_begins_the_item_that_the_person_had_longer_stays() -> None:
    law = lists(rule("choice", NURSING, SEVERE, since=20, until=30))
    assert told(law, facts_of({NURSING: [(10, None)], SEVERE: [(5, None)]})) == {
        NURSING: [(10, 20, "granted", None), (20, 30, "choice_required", SEVERE), (30, None, "granted", None)],
        SEVERE: [(5, None, "granted", None)],
    }
    together = told(law, facts_of({NURSING: [(5, None)], SEVERE: [(5, None)]}))
    assert together[NURSING] == [(5, None, "granted", None)]
    assert together[SEVERE][1] == (20, 30, "choice_required", NURSING)


def test_the_choice_of_one_pair_leaves_another_pair_alone() -> None:
    law = lists(CHOICE, rule("choice", LIVING, WELFARE))
    facts = facts_of({NURSING: [(1, None)], SEVERE: [(2, None)], LIVING: [(3, None)], WELFARE: [(4, None)]})
    shown = told(law, facts, chooses(SEVERE, 9), chooses(WELFARE, 9))
    assert shown[SEVERE][-1] == shown[WELFARE][-1] == (9, None, "granted", None)
    assert (shown[NURSING][-1][3], shown[LIVING][-1][3]) == (SEVERE, WELFARE)


def test_the_decision_and_the_explanation_cite_the_choice() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(7, None)]})
    choice = chooses(SEVERE, 9)
    last: dict[str, Entitlement] = {e.item: e for e in decide("p", facts, [], law, choices=[choice]).entitlements}
    assert choice.choice_id in last[SEVERE].facts
    assert choice.choice_id in last[NURSING].facts
    before = explain(facts, [], law, SEVERE, day(8), choices=[choice])
    assert before.outcome == "choice_required"
    assert "已享受的护理补贴" in before.sentence
    assert explain(facts, [], law, SEVERE, day(9), choices=[choice]).outcome == "granted"
    assert explain(facts, [], law, NURSING, day(9), choices=[choice]).outcome == "suppressed"
    assert explain(facts, [], law, NURSING, day(6), choices=[choice]).outcome == "granted"


def test_while_a_death_is_suspected_money_waits_and_nothing_else_moves_in() -> None:
    law, facts = lists(CHOICE), facts_of({NURSING: [(5, None)], SEVERE: [(10, None)]})
    report = Fact("death", Death(evidence="reported"), day(15), day(16), "report", "s", 1)
    assert told(law, [report, *facts]) == {
        NURSING: [(5, 15, "granted", None), (15, None, "suspended", None)],
        SEVERE: [(10, None, "choice_required", NURSING)],
    }


def test_an_item_that_gives_way_excludes_no_other() -> None:
    """LIVING blocks NURSING, NURSING would block SEVERE, in any order of the rules."""
    rules = [rule("block", SEVERE, by=[NURSING]), rule("block", NURSING, by=[LIVING])]
    facts = facts_of({NURSING: [(1, None)], SEVERE: [(1, None)], LIVING: [(10, 20)]})
    wanted = {
        LIVING: [(10, 20, "granted", None)],
        NURSING: [(1, 10, "granted", None), (10, 20, "suppressed", LIVING), (20, None, "granted", None)],
        SEVERE: [(1, 10, "suppressed", NURSING), (10, 20, "granted", None), (20, None, "suppressed", NURSING)],
    }
    assert told(lists(*rules), facts) == told(lists(*reversed(rules)), facts) == wanted


def test_the_higher_amount_beats_the_lower_and_a_beaten_item_beats_no_other() -> None:
    pairs = [rule("higher_of", NURSING, SEVERE), rule("higher_of", SEVERE, LIVING)]
    facts = facts_of({NURSING: [(1, 10)], SEVERE: [(1, None)], LIVING: [(1, None)]})
    fen = {NURSING: 300, SEVERE: 200, LIVING: 100}
    shown = told(lists(*pairs, fen=fen), facts)
    assert shown == told(lists(*reversed(pairs), fen=fen), facts)
    assert shown[LIVING] == [(1, 10, "granted", None), (10, None, "suppressed", SEVERE)]
    assert shown[SEVERE] == [(1, 10, "suppressed", NURSING), (10, None, "granted", None)]


def test_at_equal_amounts_the_one_that_the_rule_names_first_stays() -> None:
    facts = facts_of({NURSING: [(1, None)], SEVERE: [(1, None)]})
    assert told(lists(rule("higher_of", SEVERE, NURSING)), facts)[NURSING] == [(1, None, "suppressed", SEVERE)]
    assert told(lists(rule("higher_of", NURSING, SEVERE)), facts)[SEVERE] == [(1, None, "suppressed", NURSING)]


def test_an_item_that_asks_beats_no_lower_amount() -> None:
    law = lists(CHOICE, rule("higher_of", SEVERE, LIVING), fen={SEVERE: 200, LIVING: 100})
    shown = told(law, facts_of({NURSING: [(1, 20)], SEVERE: [(5, None)], LIVING: [(5, None)]}))
    assert shown[SEVERE] == [(5, 20, "choice_required", NURSING), (20, None, "granted", None)]
    assert shown[LIVING] == [(5, 20, "granted", None), (20, None, "suppressed", SEVERE)]


def test_a_chosen_item_is_not_given_together_with_a_higher_amount_that_asks() -> None:
    rules = [rule("higher_of", NURSING, SEVERE), rule("choice", NURSING, LIVING), rule("choice", SEVERE, LIVING)]
    law = lists(*rules, fen={NURSING: 300, SEVERE: 200, LIVING: 50})
    facts = facts_of({LIVING: [(1, None)], NURSING: [(5, None)], SEVERE: [(5, None)]})
    shown = told(law, facts, chooses(SEVERE, 10))
    assert shown == {
        LIVING: [(1, 10, "granted", None), (10, None, "suppressed", SEVERE)],
        NURSING: [(5, 10, "choice_required", LIVING), (10, None, "choice_required", SEVERE)],
        SEVERE: [(5, 10, "choice_required", LIVING), (10, None, "granted", None)],
    }
    assert told(law, facts, chooses(SEVERE, 10), chooses("home_adaptation", 20)) == shown
    assert told(law, facts, chooses(SEVERE, 10), chooses(NURSING, 20))[NURSING][-1] == (20, None, "granted", None)


@pytest.mark.parametrize("seed", range(60))
def test_no_two_items_that_exclude_each_other_are_given_at_once(seed: int) -> None:
    chance = Random(seed)
    pairs = {pair: chance.choice(["higher_of", "choice", "choice", None]) for pair in combinations(WANTS, 2)}
    amounts: dict[str, int | None] = {item: chance.choice([100, 200, 300]) for item in WANTS}
    law = lists(*(rule(mode, *pair) for pair, mode in pairs.items() if mode), fen=amounts)
    spans = {item: (chance.randint(0, 15), chance.choice([None, chance.randint(16, 30)])) for item in WANTS}
    facts = facts_of({item: [span] for item, span in spans.items()})
    choices = [chooses(chance.choice([*WANTS]), chance.randint(0, 30), minute=n) for n in range(chance.randint(0, 4))]
    shown = told(law, facts, *choices)
    for n in range(40):
        on = {item: span for item, found in shown.items() for span in found if span[0] <= n < (span[1] or 999)}
        given = {item for item, (_, _, state, _) in on.items() if state == "granted"}
        assert not any(mode and given.issuperset(pair) for pair, mode in pairs.items())
        assert all(by is None or by in given for _, _, _, by in on.values())


def test_an_item_that_is_beaten_is_not_to_be_chosen() -> None:
    law = lists(CHOICE, rule("higher_of", SEVERE, LIVING), fen={SEVERE: 100, LIVING: 200})
    shown = told(law, facts_of({NURSING: [(6, None)], SEVERE: [(1, None)], LIVING: [(5, None)]}), chooses(SEVERE, 2))
    assert shown[SEVERE] == [(1, 5, "granted", None), (5, None, "suppressed", LIVING)]
    assert shown[NURSING] == [(6, None, "granted", None)]


@pytest.mark.parametrize("hukou", ["530302", "530302001", "530303"])
def test_the_nearest_list_with_a_rule_about_two_items_decides_for_its_own_people(hukou: str) -> None:
    law = lists(CHOICE, near=[rule("compatible", SEVERE, NURSING, since=8)])
    shown = told(law, facts_of({NURSING: [(1, None)], SEVERE: [(5, None)]}, hukou))
    asks = (5, 8 if hukou.startswith("530302") else None, "choice_required", NURSING)
    assert shown[SEVERE] == [asks, (8, None, "granted", None)][: 2 if hukou.startswith("530302") else 1]


def test_a_county_does_not_speak_of_the_money_of_people_registered_elsewhere() -> None:
    law = lists(near=[rule("block", NURSING, by=[SEVERE])])
    lives = Fact("residence", Residence(division="530302001"), None, None, "home", "s", 1)
    facts = [lives, *facts_of({NURSING: [(1, None)], SEVERE: [(1, None)]}, hukou="140702")]
    assert told(law, facts)[NURSING] == [(1, None, "granted", None)]
    assert told(law, facts_of({NURSING: [(1, None)], SEVERE: [(1, None)]}))[NURSING][0][2] == "suppressed"


def test_two_rules_for_the_same_two_items_at_one_time_are_refused() -> None:
    with pytest.raises(ValueError, match=f"two rules at once for {NURSING} and {SEVERE}"):
        lists(CHOICE, rule("block", SEVERE, by=[NURSING], since=5))
    lists(rule("choice", NURSING, SEVERE, until=5), rule("block", SEVERE, by=[NURSING], since=5))


def test_rules_that_run_in_a_circle_end() -> None:
    circle = [rule("block", a, by=[b]) for a, b in ((NURSING, SEVERE), (SEVERE, LIVING), (LIVING, NURSING))]
    shown = told(lists(*circle), facts_of({NURSING: [(1, None)], SEVERE: [(1, None)], LIVING: [(1, None)]}))
    assert any(spans[0][2] == "granted" for spans in shown.values())


@pytest.mark.parametrize("mode", ["higher_of", "choice"])
def test_an_item_without_an_amount_neither_beats_nor_yields_nor_asks(mode: str) -> None:
    facts = facts_of({NURSING: [(0, None)], SEVERE: [(10, None)]})
    for unset in ({NURSING: None}, {SEVERE: None}, {NURSING: None, SEVERE: None}):
        law = lists(rule(mode, NURSING, SEVERE), fen=dict(unset))
        assert told(law, facts) == {NURSING: [(0, None, "granted", None)], SEVERE: [(10, None, "granted", None)]}


def test_an_item_without_an_amount_is_blocked_but_blocks_nothing() -> None:
    facts = facts_of({NURSING: [(0, None)], SEVERE: [(10, 20)]})
    blocked = rule("block", NURSING, by=[SEVERE])
    assert told(lists(blocked, fen={SEVERE: None}), facts)[NURSING] == [(0, None, "granted", None)]
    assert told(lists(blocked, fen={NURSING: None}), facts)[NURSING] == [
        (0, 10, "granted", None),
        (10, 20, "suppressed", SEVERE),
        (20, None, "granted", None),
    ]


def test_a_county_that_sets_the_amount_brings_it_into_play() -> None:
    """The item that the person did not have until then is new, and asks."""
    open_ = lists(CHOICE, fen={NURSING: None})
    near = lists().by_area["000000"].items[NURSING]
    later = msgspec.structs.replace(near.versions[0], valid_from=day(30))
    county = msgspec.structs.replace(
        open_.by_area["530302"], items={NURSING: msgspec.structs.replace(near, versions=(later,))}
    )
    law = Lists([open_.by_area["000000"], county])
    facts = facts_of({NURSING: [(0, None)], SEVERE: [(10, None)]})
    assert told(law, facts) == {
        NURSING: [(0, 30, "granted", None), (30, None, "choice_required", SEVERE)],
        SEVERE: [(10, None, "granted", None)],
    }


def test_the_explanation_says_that_the_amount_is_set_locally() -> None:
    facts = facts_of({NURSING: [(0, None)]})
    said = explain(facts, [], lists(fen={NURSING: None}), NURSING, day(3))
    assert said.outcome == "granted"
    assert "符合nursing_subsidy的条件；标准由当地制定，国家清单没有规定金额" in said.sentence
    assert "元" not in said.sentence
    assert "标准由当地制定" not in explain(facts, [], lists(), NURSING, day(3)).sentence
