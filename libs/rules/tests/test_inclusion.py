"""A list below gives at least as much as the lists above, or the proof names a person and `decide` agrees."""

import copy
import random
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.codes import divisions
from common.events.coverage import FeedDeclared
from common.events.entitlement import Entitlement
from common.events.facts import Kind
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_lives import Plain, life
from rules.deciding.conditions import leaves_of_version
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.outcome import Applicable
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import NATION, PolicyList, from_event, load_lists, to_event_dict
from rules.form.situation import AGE, ELSEWHERE, PLACE, REST, SEVERAL, SLOTS, WISHES
from rules.proof.cells import cells
from rules.proof.floors import floor_list
from rules.proof.inclusion import Inclusion, Narrower, lists_above, prove_all, prove_inclusion

CITY, COUNTY = "530300", "530302"
SEED = load_lists(Path(__file__).parents[3] / "contracts" / "policy")
COUNTIES = sorted(area for area in SEED if CITY in divisions.ancestors(area))
ALLOWANCE = ("items", "longevity_allowance", "versions", 0)
VISITS = ("items", "visiting_care", "versions", 0)
CARE = ("items", "nursing_subsidy", "versions", 0)
Change = Callable[[Plain], None]


# ---- people ----------------------------------------------------------------------------------------------------


def given_to(known: Plain, on: date, lists: Lists, item: str) -> Entitlement | None:
    facts, abilities = life(known, on)
    found = decide("p", facts, abilities, lists).entitlements
    return next((e for e in found if e.item == item and e.from_ <= on and (e.to is None or on < e.to)), None)


def is_less(had: Entitlement | None, has: Entitlement | None) -> bool:
    """A second definition of "less", so that the proof does not check itself."""
    if had is None or had.state not in ("granted", "unknown"):
        return False
    if had.state == "unknown":
        return has is None
    if has is None or has.state == "unknown" or has.kind != had.kind:
        return True
    if has.state != "granted":
        return False  # by a rule between items, which is looked at apart
    return (
        (has.amount_fen_per_month or 0) < (had.amount_fen_per_month or 0)
        or (has.interval_days or 0) > (had.interval_days or 999)
        or (had.pay is not None and has.pay is not None and _waits(has.pay) > _waits(had.pay))
    )


def _waits(pay: Any) -> int:
    """The tests below change one term at a time."""
    slow = [pay.start == "next_month", pay.stop == "same_month", pay.band_change == "next_month"]
    return sum([*slow, pay.when == "arrears"])


# ---- lists -----------------------------------------------------------------------------------------------------


def at(plain: Plain, path: Sequence[Any]) -> Any:
    for step in path:
        plain = plain[step]
    return plain


def changed(one: PolicyList, *changes: Change) -> PolicyList:
    plain = copy.deepcopy(to_event_dict(one))
    for change in changes:
        change(plain)
    return from_event(plain)


def put(path: Sequence[Any], value: Any) -> Change:
    """Overwrite one value of a list."""

    def change(plain: Plain) -> None:
        at(plain, path[:-1])[path[-1]] = value

    return change


def drop(path: Sequence[Any]) -> Change:
    def change(plain: Plain) -> None:
        del at(plain, path[:-1])[path[-1]]

    return change


def prove(child: PolicyList) -> Inclusion:
    return prove_inclusion(child, lists_above(child.jurisdiction, SEED), demo=True)


def confirm(child: PolicyList, narrower: Narrower, coverage: Coverage = NOTHING_DECLARED) -> None:
    """`decide` gives this person less with the child's list than without it (than its floor demands)."""
    above = lists_above(child.jurisdiction, SEED)
    befores = [Lists(above, coverage=coverage)]
    if narrower.floor:
        floors = [f for f in SEED[narrower.parent].floors if f.item == narrower.item]
        befores = [Lists([floor_list(narrower.parent, floor)], coverage=coverage) for floor in floors]
    on, known = narrower.person.on, narrower.person.known
    has = given_to(known, on, Lists([child, *above], coverage=coverage), narrower.item)
    had = [given_to(known, on, before, narrower.item) for before in befores]
    if narrower.code == "suppressed":
        assert had[0] is not None
        assert (had[0].state, has and has.state) == ("granted", "suppressed")
    elif narrower.code == "visit_mode_weaker":  # which the timeline does not tell
        assert has is not None
        assert any(e is not None and e.tier for e in had)
    else:
        assert any(is_less(e, has) for e in had), narrower.sentence


def refused(child: PolicyList, *codes: str) -> list[Narrower]:
    found = prove(child).narrower
    assert {n.code for n in found} == {*codes}
    for narrower in found:
        confirm(child, narrower)
        assert narrower.sentence.endswith("。")
    return list(found)


# ---- the lists in force ----------------------------------------------------------------------------------------


def test_every_list_of_the_repository_gives_at_least_as_much_as_those_above_it() -> None:
    for inclusion in prove_all(SEED, demo=True):
        assert inclusion.holds, [n.sentence for n in inclusion.narrower]
        assert inclusion.idle == ()


def test_a_known_narrowing_is_shown_as_a_deviation_with_a_person_it_concerns() -> None:
    found = {(n.item, n.code) for n in prove(SEED[CITY]).deviating}
    assert found == {(item, "refused") for item in ("care_service_subsidy", "home_adaptation", "nursing_subsidy")}
    for narrower in (n for area in (CITY, "110000") for n in prove(SEED[area]).deviating):
        assert narrower.deviation
        assert narrower.deviation.status == "example"
        confirm(SEED[narrower.deviation and (CITY if "曲靖" in narrower.sentence else "110000")], narrower)


def test_a_pair_of_lists_is_proved_within_a_second() -> None:
    pairs = [(area, lists_above(area, SEED)) for area in SEED]
    for area, above in pairs:
        begun = time.process_time()
        prove_inclusion(SEED[area], above, demo=True)
        assert time.process_time() - begun < 1


# ---- lists that give less --------------------------------------------------------------------------------------


@pytest.mark.parametrize("county", COUNTIES)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop(("items", "longevity_allowance")), "not_offered"),
        (put((*ALLOWANCE, "conditions", "age_years_min"), 81), "refused"),
        (put((*ALLOWANCE, "valid_from"), "2023-02-01"), "not_offered"),
        (put((*ALLOWANCE, "valid_to"), "2030-01-01"), "amount_lower"),  # the nation's line says who, not how much
        (put((*ALLOWANCE, "amount", "bands", 0, "amount_fen"), 4999), "amount_lower"),
        (put((*ALLOWANCE, "amount", "bands", 2, "amount_fen"), 29900), "amount_lower"),
        (put(("items", "longevity_allowance", "follows"), "residence"), "not_offered"),
        (put((*ALLOWANCE, "conditions"), {"all_of": [{"age_years_min": 80}, {"place_in": ["home"]}]}), "refused"),
    ],
    ids=["dropped", "age", "later", "earlier end", "amount", "amount of the oldest", "follows", "fewer people"],
)
def test_a_county_that_gives_less_than_the_city_demands_is_refused(county: str, change: Change, code: str) -> None:
    found = prove(changed(SEED[county], change)).narrower
    assert code in {n.code for n in found}
    for narrower in found:
        confirm(changed(SEED[county], change), narrower)


@pytest.mark.parametrize("position", range(4))
def test_a_city_that_leaves_out_one_class_of_people_to_be_visited_is_refused(position: int) -> None:
    refused(changed(SEED[CITY], drop((*VISITS, "conditions", "all_of", 1, "any_of", position))), "refused")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put((*VISITS, "conditions", "all_of", 0, "age_years_min"), 61), "refused"),
        (put((*VISITS, "tiers", 0, "interval_days"), 8), "visits_rarer"),
        (put((*VISITS, "tiers", 1, "interval_days"), 16), "visits_rarer"),
        (put((*VISITS, "tiers", 0, "conditions", "any_of", 1, "ability_level_min"), 4), "visits_rarer"),
        (put((*VISITS, "tiers", 0, "mode"), "in_person_or_call"), "visit_mode_weaker"),
        (put((*CARE, "conditions", "all_of", 0, "age_years_min"), 65), "refused"),
        (put((*CARE, "conditions", "all_of", 1, "low_income_in"), ["dibao", "tekun"]), "refused"),
        (put((*CARE, "conditions", "all_of", 2, "ability_level_min"), 3), "refused"),
    ],
)
def test_a_city_that_gives_less_than_the_nation_is_refused(change: Change, code: str) -> None:
    found = prove(changed(SEED[CITY], change)).narrower
    assert code in {n.code for n in found}
    for narrower in found:
        confirm(changed(SEED[CITY], change), narrower)


def test_a_county_that_repeats_the_city_with_less_is_refused() -> None:
    """The county's own item counts, even if no item would have given more."""
    line = to_event_dict(SEED[CITY])["items"]["care_service_subsidy"]

    def county(*changes: Change) -> PolicyList:
        return changed(SEED[COUNTY], put(("items", "care_service_subsidy"), copy.deepcopy(line)), *changes)

    body = ("items", "care_service_subsidy", "versions", 0)
    assert prove(county(lambda _: None)).narrower == ()
    refused(county(put((*body, "amount", "flat_fen"), 4999)), "amount_lower")
    refused(county(put((*body, "conditions", "all_of", 0, "age_years_min"), 81)), "refused")
    refused(county(drop((*body, "conditions", "all_of", 1, "any_of", 0))), "refused")
    refused(county(drop((*body, "amount")), drop((*body, "pay"))), "amount_lower")  # who, but not how much any more
    for silent in (drop(("items", "care_service_subsidy")), put((*body, "valid_from"), "2025-01-01")):
        assert prove(county(silent)).narrower == ()  # until then the city's line counts


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put((*CARE, "amount", "bands", 0, "amount_fen"), 9999), "amount_lower"),
        (put((*CARE, "amount", "bands", 2, "amount_fen"), 29999), "amount_lower"),
        (put((*CARE, "pay", "stop"), "same_month"), "pay_weaker"),
    ],
)
def test_money_that_a_city_sets_is_not_lowered_by_a_county(change: Change, code: str) -> None:
    line = to_event_dict(SEED[CITY])["items"]["nursing_subsidy"]
    refused(changed(SEED[COUNTY], put(("items", "nursing_subsidy"), copy.deepcopy(line)), change), code)


def test_who_but_not_how_much_is_less_than_any_amount_and_no_more_than_nothing() -> None:
    """The nation sets no amount: any amount below is more, and an item without an amount does not meet a floor."""
    open_ = to_event_dict(SEED[NATION])["items"]["longevity_allowance"]
    (found,) = [
        n
        for n in prove(changed(SEED[COUNTY], put(("items", "longevity_allowance"), open_))).narrower
        if n.from_ >= date(2023, 5, 21) and "300" in n.parent_gives
    ]
    assert (found.code, found.floor, found.child_gives) == ("amount_lower", True, "享受，没有规定金额")
    above = [
        changed(one, lambda p: p.update(floors=p["floors"][:1] if "floors" in p else []))
        for one in lists_above(COUNTY, SEED)
    ]  # the floor that names no amount
    (found,) = prove_inclusion(
        changed(SEED[COUNTY], put(("items", "longevity_allowance"), open_)), above, demo=True
    ).narrower[-1:]
    assert (found.code, found.floor, found.to) == ("amount_lower", True, None)
    assert prove(changed(SEED["140900"], put((*ALLOWANCE, "amount", "bands", 0, "amount_fen"), 10001))).holds
    refused(changed(SEED["140900"], put((*ALLOWANCE, "amount", "bands", 0, "amount_fen"), 9999)), "amount_lower")


def test_the_person_named_is_just_on_the_boundary() -> None:
    (found,) = [n for n in prove(raised_to(81)).narrower if not n.parent_gives.count("300")][:1]
    assert found.person.known == {"hukou": COUNTY, "age": 80}
    assert "80周岁" in found.sentence
    assert "麒麟区" in found.sentence
    assert prove(raised_to(80)).holds
    assert prove(raised_to(79)).holds


def raised_to(age: int) -> PolicyList:
    return changed(SEED[COUNTY], put((*ALLOWANCE, "conditions", "age_years_min"), age))


def test_a_narrowing_names_the_days_on_which_less_is_given() -> None:
    later = prove(changed(SEED[COUNTY], put((*ALLOWANCE, "valid_from"), "2023-02-01"))).narrower
    assert {(n.from_, n.to) for n in later} == {(date(2023, 1, 16), date(2023, 2, 1))}
    sooner = prove(changed(SEED[COUNTY], put((*ALLOWANCE, "valid_to"), "2030-01-01"))).narrower
    assert {(n.from_, n.to) for n in sooner} == {(date(2030, 1, 1), None)}


def test_a_person_who_is_asked_more_or_not_asked_at_all_gets_less() -> None:
    path = (*VISITS, "conditions", "all_of", 1, "any_of", 0)
    tags = {"living_tag": ["alone", "empty_nest", "left_behind"], "absent_means": "unknown"}
    assert prove(changed(SEED[CITY], put(path, tags))).holds  # asking about more people is no loss
    home = {"place_in": ["home"], "absent_means": "not_met"}
    silent = changed(SEED[CITY], lambda p: at(p, (*VISITS, "conditions", "all_of")).append(home))
    assert "refused" in {n.code for n in prove(silent).narrower}
    asking = changed(SEED[CITY], lambda p: at(p, (*VISITS, "conditions", "all_of")).append({"ability_level_min": 0}))
    assert "asks_more" in {n.code for n in refused(asking, "asks_more")}


def test_a_person_who_is_not_asked_any_more_is_missed() -> None:
    def silent(plain: Plain) -> None:
        at(plain, CARE)["conditions"] = {"all_of": [{"age_years_min": 60}, {"ability_level_min": 2}]}
        at(plain, CARE)["conditions"]["all_of"][1]["absent_means"] = "not_met"

    (found,) = refused(changed(SEED[CITY], silent), "not_asked")
    assert "还要核实能力评估结果" in found.parent_gives


def test_a_service_does_not_stand_for_money() -> None:
    def free(plain: Plain) -> None:
        item = plain["items"]["nursing_subsidy"]
        item["kind"] = "service"
        del item["versions"][0]["amount"], item["versions"][0]["pay"]

    assert "kind_differs" in {n.code for n in prove(changed(SEED[CITY], free)).narrower}


def test_conditions_that_tell_too_many_people_apart_are_not_waved_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.proof.comparison.CASES_MAX", 100)
    found = prove(SEED[CITY])
    assert "visiting_care" in found.undecided
    assert not found.holds


# ---- lists that give more --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        put((*VISITS, "conditions", "all_of", 0, "age_years_min"), 55),
        put((*VISITS, "tiers", 0, "interval_days"), 3),
        put((*VISITS, "tiers", 2, "mode"), "in_person"),
        put((*CARE, "conditions", "all_of", 1, "low_income_in"), ["dibao", "tekun", "bianyuan", "gangxing"]),
        put((*CARE, "conditions", "all_of", 2, "ability_level_min"), 2),
        put((*CARE, "amount", "bands", 0, "amount_fen"), 10001),
        put((*CARE, "pay", "start"), "same_month"),
        put((*CARE, "pay", "when"), "advance"),
        lambda p: at(p, (*VISITS, "conditions", "all_of", 1, "any_of")).append({"age_years_min": 90}),
        drop(("items", "visiting_care")),
        put((*VISITS, "valid_from"), "2024-01-01"),
        put((*VISITS, "valid_to"), "2030-01-01"),
    ],
)
def test_a_city_that_gives_more_or_says_nothing_passes(change: Change) -> None:
    assert prove(changed(SEED[CITY], change)).narrower == ()


# ---- deviations ------------------------------------------------------------------------------------------------


def test_a_deviation_allows_its_narrowings_on_its_days_only() -> None:
    path = ("deviations", 0)

    def only_nursing(plain: Plain) -> None:
        plain["deviations"] = plain["deviations"][:1]
        for item in ("care_service_subsidy", "home_adaptation"):
            del plain["items"][item]

    city = changed(SEED[CITY], only_nursing)
    ended = prove(changed(city, put((*path, "valid_to"), "2027-01-01")))
    assert {(n.code, n.from_) for n in ended.narrower} == {("refused", date(2027, 1, 1))}
    assert {n.to for n in ended.deviating} == {date(2027, 1, 1)}
    late = prove(changed(city, put((*path, "valid_from"), "2024-01-01"))).narrower
    assert {(n.from_, n.to) for n in late} == {(date(2023, 5, 21), date(2024, 1, 1))}
    refused(changed(city, put((*path, "narrows"), ["amount_lower"])), "refused")
    refused(changed(city, put((*path, "people"), {"low_income_in": ["fanpin"]})), "refused")
    assert prove(changed(city, drop(("deviations",)))).deviating == ()


def test_a_deviation_that_allows_nothing_is_reported() -> None:
    extra = {**to_event_dict(SEED[CITY])["deviations"][0], "item": "visiting_care"}
    found = prove(changed(SEED[CITY], lambda p: p["deviations"].append(extra)))
    assert [d.item for d in found.idle] == ["visiting_care"]
    assert found.holds


# ---- rules between items ---------------------------------------------------------------------------------------


def rule(mode: str, **items: Any) -> Change:
    citation = {"title": "t", "issuer": "i", "date": "2023-01-16", "locator": "l"}
    one = {"mode": mode, "valid_from": "2024-01-01", "status": "example", "citation": citation, **items}
    return lambda plain: plain.setdefault("exclusions", []).append(one)


def test_a_list_may_not_suppress_an_item_that_the_lists_above_give() -> None:
    both = ["scattered_support", "nursing_subsidy"]
    blocked = changed(SEED[CITY], rule("block", items=["nursing_subsidy"], by=["scattered_support"]))
    (found,) = refused(blocked, "suppressed")
    assert found.from_ == date(2024, 1, 1)
    assert found.person.known["low_income"][0] == "tekun"
    assert prove(changed(SEED[CITY], rule("compatible", items=both))).holds
    living = ["disability_living_subsidy", "severe_disability_nursing_subsidy"]
    refused(changed(SEED[CITY], rule("higher_of", items=living)), "suppressed")


def test_a_rule_that_the_nation_has_too_takes_nothing_away() -> None:
    again = changed(SEED[CITY], rule("higher_of", items=["nursing_subsidy", "severe_disability_nursing_subsidy"]))
    assert prove(again).holds
    care = {"items": ["severe_disability_nursing_subsidy"], "by": ["nursing_subsidy"]}  # always the higher of the two
    assert prove(changed(SEED[CITY], rule("block", **care))).holds
    unequal = rule("higher_of", items=["nursing_subsidy", "scattered_support"])
    same = prove_inclusion(changed(SEED[CITY], unequal), [changed(SEED[NATION], unequal)], demo=True)
    assert "suppressed" not in {n.code for n in same.narrower}


@pytest.mark.parametrize("amount_fen", [4000, 50000])
def test_the_higher_of_an_item_above_and_one_of_its_own_is_no_loss(amount_fen: int) -> None:
    own = rule("higher_of", items=["nursing_subsidy", "care_service_subsidy"])
    path = ("items", "care_service_subsidy", "versions", 0, "amount", "flat_fen")
    above = [changed(SEED[NATION], drop(("items", "care_service_subsidy")))]
    assert prove_inclusion(changed(SEED[CITY], own, put(path, amount_fen)), above, demo=True).narrower == ()
    refused(changed(SEED[CITY], own), "suppressed")  # the nation gives both, though it sets no amounts


def test_a_service_that_gives_way_to_money_is_lost() -> None:
    items = ["disability_living_subsidy", "scattered_support"]  # the nation gives the service and not the money
    (found,) = refused(changed(SEED[CITY], rule("higher_of", items=items)), "suppressed")
    assert found.item == "scattered_support"


def test_a_deviation_for_one_item_does_not_cover_the_other_of_a_rule() -> None:
    blocked = changed(
        SEED[CITY],
        rule("block", items=["nursing_subsidy"], by=["scattered_support"]),
        put(("deviations", 0, "narrows"), ["refused", "suppressed"]),
        put(("deviations", 0, "people"), {"low_income_in": ["tekun"]}),
    )
    assert {n.code for n in prove(blocked).narrower} == {"refused"}  # of those who are not poor
    other = changed(blocked, put(("deviations", 0, "item"), "scattered_support"))
    assert {n.code for n in prove(other).narrower} == {"refused", "suppressed"}


# ---- against brute force ---------------------------------------------------------------------------------------

DAYS = [date(2022, 12, 31), date(2023, 1, 20), date(2023, 5, 21), date(2024, 6, 1), date(2031, 3, 1)]


def somebody(dice: random.Random) -> Plain:
    """A random person, often near the boundaries."""
    known: Plain = {}
    if dice.random() < 0.95:
        known |= {"hukou": dice.choice([COUNTY, COUNTY, CITY, "530303", "140702"])}
        known |= {"age": dice.choice([*range(57, 63), *range(78, 83), 89, 90, 99, 100, 101])}
    if dice.random() < 0.9:
        known |= {"residence": dice.choice([COUNTY, COUNTY, CITY, "530303", "140702"])}
        known |= {"place": dice.choice(CIRCUMSTANCES[PLACE].known)}
    for row in CIRCUMSTANCES[AGE + 1 : PLACE]:
        if dice.random() < 0.5:
            known[row.name] = dice.choice(row.known)
    return known


def told(dice: random.Random) -> Coverage:
    """Feeds of some of the places of these persons, from before or within the checked days."""
    kinds: list[Kind] = ["low_income", "disability", "living_situation"]
    ends = [None, None, date(2030, 1, 1)]
    return Coverage(
        {
            place: [
                FeedDeclared(kind=kind, since=dice.choice(DAYS), until=dice.choice(ends))
                for kind in dice.sample(kinds, dice.randint(0, 3))
            ]
            for place in dice.sample([COUNTY, CITY, "530303", "140702", NATION], dice.randint(1, 3))
        }
    )


CHANGES: list[Change] = [
    *(put((*VISITS, "conditions", "all_of", 0, "age_years_min"), age) for age in (58, 59, 61, 62)),
    *(put((*VISITS, "tiers", tier, "interval_days"), days) for tier in (0, 1) for days in (5, 9, 14, 20)),
    *(drop((*VISITS, "conditions", "all_of", 1, "any_of", i)) for i in range(4)),
    *(put((*CARE, "amount", "bands", i, "amount_fen"), fen) for i in range(3) for fen in (9000, 40000)),
    *(put((*CARE, "conditions", "all_of", 2, "ability_level_min"), level) for level in (1, 3)),
    put((*CARE, "conditions", "all_of", 1), {"age_years_min": 58}),
    drop((*CARE, "conditions", "all_of", 1)),
    put(("items", "nursing_subsidy", "follows"), "residence"),
    put(("items", "visiting_care", "follows"), "hukou"),
    put((*CARE, "valid_to"), "2024-02-01"),
    put((*CARE, "conditions"), {"all_of": [{"age_years_min": 60}, {"hukou_in": ["530303"]}]}),
    put((*CARE, "conditions"), {"any_of": [{"place_in": ["home"]}, {"ability_level_min": 2}]}),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(range(len(CHANGES))), max_size=3, unique=True), st.integers(0, 2**32))
def test_the_proof_agrees_with_generated_people(picked: list[int], seed: int) -> None:
    """If the proof holds, nobody gets less. If not, `decide` confirms the person that it names."""
    try:
        child = changed(SEED[CITY], drop(("deviations",)), *(CHANGES[i] for i in picked))
    except (ValueError, KeyError, IndexError):
        return  # changes that contradict each other
    above, dice = lists_above(CITY, SEED), random.Random(seed)
    coverage = told(dice) if seed % 2 else NOTHING_DECLARED
    proof = prove_inclusion(child, above, coverage=coverage, demo=True)
    for narrower in proof.narrower:
        confirm(child, narrower, coverage)
    before, after = (Lists(side, coverage=coverage) for side in (above, [child, *above]))
    said = {n.item for n in proof.narrower}
    for _ in range(150):
        known, on = somebody(dice), dice.choice(DAYS)
        for item in ("visiting_care", "nursing_subsidy"):
            had, has = (given_to(known, on, lists, item) for lists in (before, after))
            assert item in said or not is_less(had, has), (item, known, on)


@pytest.mark.parametrize("county", [COUNTY, "530371"])
def test_some_thousand_persons_get_at_least_as_much_as_without_the_list_of_their_county(county: str) -> None:
    above, dice = lists_above(county, SEED), random.Random(county)
    before, after = Lists(above), Lists([SEED[county], *above])
    items = sorted({item for one in above for item in one.items})
    for _ in range(1500):
        known, on = somebody(dice), dice.choice(DAYS)
        known = {k: county if v == COUNTY else v for k, v in known.items()}
        facts, abilities = life(known, on)
        with_list, without = (decide("p", facts, abilities, lists).entitlements for lists in (after, before))
        for item in items:
            had, has = (
                next((e for e in es if e.item == item and e.from_ <= on and (e.to is None or on < e.to)), None)
                for es in (without, with_list)
            )
            assert not is_less(had, has), (item, known, on)


def test_to_except_the_nearly_poor_asks_more_of_everybody_where_nobody_tells_who_they_are() -> None:
    """The nation grants it to everybody from sixty on, the city not to some of them."""
    care = to_event_dict(SEED[CITY])["items"]["nursing_subsidy"]
    everybody = put((*CARE, "conditions"), {"age_years_min": 60})
    nation = [changed(SEED[NATION], put(("items", "nursing_subsidy"), care), everybody)]
    excepting = put((*CARE, "conditions"), {"none_of": [{"low_income_in": ["bianyuan"]}]})
    city = changed(SEED[CITY], drop(("deviations",)), excepting)

    def narrower(declared: dict[str, list[FeedDeclared]], child: PolicyList = city) -> set[tuple[str, bool]]:
        found = prove_inclusion(child, nation, coverage=Coverage(declared), demo=True).narrower
        return {(n.code, n.from_ == date(2030, 1, 1)) for n in found if n.item == "nursing_subsidy"}

    always = FeedDeclared(kind="low_income", since=date(2000, 1, 1))
    ending = FeedDeclared(kind="low_income", since=date(2000, 1, 1), until=date(2030, 1, 1))
    refused, asked = ("refused", False), ("asks_more", False)
    assert narrower({}) == narrower({CITY: [always]}) == narrower({"140702": []}) == {refused}
    assert narrower({CITY: []}) == narrower({COUNTY: []}) == {refused, asked}
    assert narrower({CITY: [ending]}) == {refused, ("asks_more", True)}
    poor_only = changed(city, put((*CARE, "conditions"), {"low_income_in": ["dibao"]}))
    assert narrower({CITY: []}, poor_only) == {refused, asked}


def test_a_deviation_that_lets_some_be_refused_lets_them_be_asked_where_nobody_tells_who_they_are() -> None:
    """A deviation lets the city grant an item to the poor only. Then it must ask whether a person is poor."""
    area, above = "140700", lists_above("140700", SEED)
    proof = prove_inclusion(SEED[area], above, coverage=Coverage({area: []}), demo=True)
    assert proof.narrower == ()
    assert "asks_more" in {n.code for n in proof.deviating if n.deviation and "asks_more" not in n.deviation.narrows}
    without = changed(SEED[area], drop(("deviations",)))
    assert "asks_more" in {
        n.code for n in prove_inclusion(without, above, coverage=Coverage({area: []}), demo=True).narrower
    }


MANY = {
    SLOTS["merits"]: ["special_contribution", "veteran", "soldier_family"],
    ELSEWHERE: [("work_injury_care", None), ("work_injury_care", 100), ("retired_cadre_care", 5)],
    WISHES: [("concentrated_support", "apply"), ("scattered_support", "apply"), ("visiting_care", "decline")],
}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_every_person_is_one_of_the_checked_cases(seed: int) -> None:
    """For every person one of the cells gets the same answer for the same reasons."""
    dice = random.Random(seed)
    area, name = dice.choice([(a, i) for a in (NATION, CITY) for i in SEED[a].items])
    item = SEED[area].items[name]
    applicable = Applicable(item, item.versions[0], area, False)
    people = cells(leaves_of_version(item.versions[0]))
    assert {*MANY} == {*SEVERAL}
    sets = {slot: [frozenset(dice.sample(some, n)) for n in range(1, len(some))] for slot, some in MANY.items()}
    rest = [dice.choice([None, *sets.get(slot, CIRCUMSTANCES[slot].known)]) for slot in REST]
    outcome = applicable.outcome(((CITY, NATION), (CITY, NATION), *rest))
    kinds = [applicable.outcome(((CITY, NATION), (CITY, NATION), *cell)) for cell in people.situations()]
    assert outcome in kinds


def test_a_life_is_built_as_it_is_described() -> None:
    on = date(2024, 6, 1)
    assert given_to({"hukou": COUNTY, "age": 80}, on, Lists(SEED.values()), "longevity_allowance")
    assert not given_to({"hukou": COUNTY, "age": 79}, on + timedelta(1), Lists(SEED.values()), "longevity_allowance")


@pytest.mark.parametrize("spoil", ["status", "signer"])
def test_a_deviation_that_nobody_has_signed_covers_a_narrowing_in_a_demonstration_only(spoil: str) -> None:
    signed = [msgspec.structs.replace(d, status="documented", signer="曲靖市民政局") for d in SEED[CITY].deviations]
    above = lists_above(CITY, SEED)
    assert prove_inclusion(msgspec.structs.replace(SEED[CITY], deviations=tuple(signed)), above, demo=False).holds
    unsigned = {"status": "example"} if spoil == "status" else {"signer": "示例：曲靖市民政局"}
    signed[0] = msgspec.structs.replace(signed[0], **unsigned)
    child = msgspec.structs.replace(SEED[CITY], deviations=tuple(signed))
    strict = prove_inclusion(child, above, demo=False)
    assert {n.deviation for n in strict.narrower} == {signed[0]}
    assert {n.item for n in strict.narrower} == {"nursing_subsidy"}
    assert prove_inclusion(child, above, demo=True).holds


def test_a_signed_deviation_counts_before_an_example_of_the_same_narrowing() -> None:
    example = SEED[CITY].deviations
    signed = [msgspec.structs.replace(d, status="documented", signer="曲靖市民政局") for d in example]
    child = msgspec.structs.replace(SEED[CITY], deviations=(*example, *signed))
    assert prove_inclusion(child, lists_above(CITY, SEED), demo=False).holds
