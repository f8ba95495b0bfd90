"""Items that the person declined or another office pays: suppressed, visible, explained, and able to come back."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.events.entitlement import Entitlement
from common.events.facts import (
    Application,
    BenefitElsewhere,
    Death,
    Disability,
    LowIncome,
    Merit,
    Registration,
    Value,
)
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.wording import condition_text
from rules.facts.timeline import Fact
from rules.form.policy import Condition, PolicyList, from_event, load_lists, to_event_dict
from rules.proof.inclusion import lists_above, prove_inclusion
from rules.proof.lint_conditions import lint_conditions
from rules.words.explain import Explanation, explain

SEED = load_lists(Path(__file__).parents[3] / "contracts" / "policy")
LISTS = Lists(SEED.values())
ON = date(2026, 6, 1)
CITATION = {"title": "试验清单", "issuer": "试验局", "date": "2024-01-01", "locator": "第1条"}


def fact(kind: str, value: Value, event_id: str, since: date | None = date(2026, 1, 1)) -> Fact:
    return Fact(kind, value, since, None, event_id, "urn:cn:exchange:test", 1)


def somebody(*more: Fact, hukou: str = "110108") -> list[Fact]:
    born = Registration(sex="1", birth_date=date(1940, 3, 1), hukou_division=hukou, hukou_kind="urban")
    facts = [fact("registration", born, "born", None), fact("low_income", LowIncome(category="dibao"), "poor"), *more]
    return sorted(facts, key=lambda f: (f.kind, f.valid_from or date.min, f.event_id))


def receives(benefit: Any, fen: int | None = None) -> Fact:
    value = BenefitElsewhere(benefit=benefit, amount_fen_per_month=fen)
    return fact("benefit_elsewhere", value, f"{benefit}-1")


def wishes(item: str, wish: Any) -> Fact:
    return fact("application", Application(item=item, wish=wish, channel="counter"), f"{wish}-{item}")


def on_day(facts: list[Fact], lists: Lists = LISTS) -> dict[str, Entitlement]:
    found = decide("p", facts, [], lists).entitlements
    return {e.item: e for e in found if e.from_ <= ON and (e.to is None or e.to > ON)}


def why(facts: list[Fact], item: str) -> Explanation:
    return explain(facts, [], LISTS, item, ON)


def changed(area: str, *rules: dict[str, Any]) -> PolicyList:
    plain = to_event_dict(SEED[area])
    head = {"valid_from": "2019-01-01", "status": "documented", "citation": CITATION}
    plain["exclusions"] = [*plain.get("exclusions", ()), *({**head, **rule} for rule in rules)]
    return from_event(plain)


def test_every_benefit_received_is_cited_with_the_reason() -> None:
    facts = somebody(receives("work_injury_care"), receives("retired_cadre_living", 100))
    found = on_day(facts)["care_service_subsidy"]
    assert (found.state, found.suppressed_by) == ("suppressed", "work_injury_care")
    assert {"work_injury_care-1", "retired_cadre_living-1", "poor", "born"} <= set(found.facts)
    explained = why(facts, "care_service_subsidy")
    assert explained.outcome == "suppressed"
    assert "因同时享受工伤保险生活护理费而不发，后者停止时自动恢复" in explained.sentence


def test_an_item_is_compared_with_the_higher_of_two_benefits() -> None:
    both = (receives("retired_cadre_living", 20_000), receives("duty_disability_living", 30_000))
    assert on_day(somebody(*both))["care_service_subsidy"].suppressed_by == "duty_disability_living"


def test_one_amount_that_is_enough_settles_it_though_another_is_not_known() -> None:
    both = (receives("retired_cadre_living", 30_000), receives("duty_disability_living"))
    assert on_day(somebody(*both))["care_service_subsidy"].state == "suppressed"
    both = (receives("retired_cadre_living", 29_999), receives("duty_disability_living"))
    assert on_day(somebody(*both))["care_service_subsidy"].missing_facts == ("benefit_elsewhere",)


def test_an_amount_that_is_not_known_is_asked_for_by_name() -> None:
    explained = why(somebody(receives("retired_cadre_living")), "care_service_subsidy")
    assert explained.outcome == "unknown"
    assert "缺少其他部门待遇及其金额" in explained.sentence


def test_the_explanation_names_the_choice_between_the_two() -> None:
    explained = why(somebody(receives("retired_cadre_living", 100)), "care_service_subsidy")
    assert explained.outcome == "choice_required"
    assert "与已享受的离休干部生活补贴只能享受一项，由本人选择" in explained.sentence


def test_a_declined_item_is_marked_and_an_application_alone_changes_nothing() -> None:
    facts = somebody(wishes("longevity_allowance", "decline"))
    assert on_day(facts)["longevity_allowance"].suppressed_by == "declined"
    assert "decline-longevity_allowance" in on_day(facts)["longevity_allowance"].facts
    assert "本人已声明放弃，重新申请即恢复" in why(facts, "longevity_allowance").sentence
    applied = on_day(somebody(wishes("longevity_allowance", "apply")))
    assert applied == on_day(somebody())


def test_a_declined_item_that_is_refused_keeps_the_reason_of_the_refusal() -> None:
    facts = somebody(wishes("priority_admission", "decline"))
    assert "priority_admission" not in on_day(facts)
    assert why(facts, "priority_admission").outcome == "refused"


def test_a_declined_item_that_is_unknown_is_still_asked_about() -> None:
    assert on_day(somebody(wishes("nursing_subsidy", "decline"), hukou="530302"))["nursing_subsidy"].state == "unknown"


def test_a_declined_item_stays_declined_while_a_death_is_suspected() -> None:
    death = fact("death", Death(evidence="reported"), "d", date(2026, 5, 1))
    assert (
        on_day(somebody(wishes("longevity_allowance", "decline"), death))["longevity_allowance"].state == "suppressed"
    )


@pytest.mark.parametrize(("mode", "state"), [("compatible", "granted"), ("block", "suppressed")])
def test_the_nearest_list_with_a_rule_about_an_item_and_a_benefit_decides(mode: str, state: str) -> None:
    rule = {"mode": mode, "items": ["disability_living_subsidy"], "elsewhere": ["work_injury_care"]}
    lists = Lists([*(one for area, one in SEED.items() if area != "530300"), changed("530300", rule)])
    disabled = fact("disability", Disability(class_=4, level=1), "d")
    found = on_day(somebody(receives("work_injury_care"), disabled, hukou="530302"), lists)
    assert found["disability_living_subsidy"].state == state
    assert found["severe_disability_nursing_subsidy"].state == "suppressed"  # the nation's rule, of which it is silent


@pytest.mark.parametrize("mode", ["block", "higher_of"])
def test_a_list_may_not_let_a_benefit_elsewhere_take_an_item_that_the_lists_above_give(mode: str) -> None:
    rule = {"mode": mode, "items": ["longevity_allowance"], "elsewhere": ["long_term_care_insurance"]}
    child = changed("530302", rule)
    above = lists_above("530302", SEED)
    assert not any(n.item == "longevity_allowance" for n in prove_inclusion(SEED["530302"], above, demo=True).narrower)
    (narrower,) = [n for n in prove_inclusion(child, above, demo=True).narrower if n.item == "longevity_allowance"]
    assert (narrower.code, narrower.parent) == ("suppressed", "000000")
    assert "长期护理保险待遇" in narrower.sentence
    assert narrower.person.known["elsewhere"] == [("long_term_care_insurance", 10_000_000)]
    msgspec.json.encode(narrower)  # it travels


def test_a_rule_that_the_lists_above_have_already_takes_nothing() -> None:
    rule = {"mode": "block", "items": ["disability_living_subsidy"], "elsewhere": ["work_injury_care"]}
    assert prove_inclusion(changed("530300", rule), lists_above("530300", SEED), demo=True).holds


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"mode": "block", "items": ["dibao"]}, "a block needs by or elsewhere"),
        ({"mode": "higher_of", "items": ["dibao"]}, "a rule needs two items"),
        ({"mode": "block", "items": ["dibao"], "elsewhere": ["lottery"]}, "Invalid enum value"),
        ({"mode": "choice", "items": ["dibao", "care_voucher"], "elsewhere": ["work_injury_care"]}, "unknown field"),
        ({"mode": "block", "items": ["nursing_subsidy"], "elsewhere": ["work_injury_care"]}, "two rules at once"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_refused(rule: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        changed("110000", rule)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({"merit_in": ["special_contribution", "veteran"]}, "属于对国家和社会作出特殊贡献的人员或退役军人"),
        ({"benefit_elsewhere_in": ["work_injury_care"]}, "正在享受工伤保险生活护理费"),
        ({"applied": ["concentrated_support", "home_adaptation"]}, "本人已申请集中供养或家庭适老化改造"),
    ],
)
def test_the_further_conditions_are_sentences(condition: dict[str, Any], text: str) -> None:
    assert condition_text(msgspec.convert(condition, Condition)) == text


def test_a_merit_is_explained_with_the_paper_that_shows_it() -> None:
    facts = somebody(
        fact("merit", Merit(merit="veteran"), "v"), fact("merit", Merit(merit="special_contribution"), "s")
    )
    explained = why(facts, "merit_support")
    (merit,) = [c for c in explained.conditions if c.code == "merit_in"]
    assert (merit.holds, merit.value) == (True, "对国家和社会作出特殊贡献的人员、退役军人")
    assert {ref.event_id for ref in merit.facts} == {"v", "s"}
    refused = why(somebody(), "merit_support")
    assert "没有这方面的记录" in refused.sentence


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (
            {"all_of": [{"merit_in": ["veteran"]}, {"none_of": [{"merit_in": ["veteran", "martyr_family"]}]}]},
            "never_holds",
        ),
        ({"all_of": [{"merit_in": ["veteran"]}, {"merit_in": ["martyr_family"]}]}, None),  # both may be true of one
        ({"any_of": [{"applied": ["dibao"]}, {"applied": ["dibao", "care_voucher"]}]}, None),
        ({"all_of": [{"benefit_elsewhere_in": ["work_injury_care"]}, {"none_of": [{"applied": ["dibao"]}]}]}, None),
    ],
)
def test_lint_sees_through_conditions_of_which_several_may_hold(conditions: dict[str, Any], code: str | None) -> None:
    plain = to_event_dict(SEED["000000"])["items"]["merit_support"]
    plain["versions"][0]["conditions"] = conditions
    list_ = from_event({"jurisdiction": "000000", "items": {"merit_support": plain}})
    item = list_.items["merit_support"]
    found = {note[0] for note in lint_conditions("000000", item, item.versions[0], "/x")}
    assert found == ({code} if code else set())
