"""`decide` agrees on every day with a slow reading of the same small law, written in Python."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid5

import pytest
from common.events.ability import Ability
from common.events.entitlement import Entitlement
from common.events.facts import (
    Alive,
    Death,
    DeathEvidence,
    Disability,
    LivingSituation,
    LowIncome,
    Registration,
    Residence,
    Value,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.deciding.decide import ENTITLEMENTS, decide
from rules.deciding.lists import Lists
from rules.facts.timeline import Fact
from rules.form.policy import PolicyList, from_event
from rules.words.explain import explain, policy_ref

FIRST = date(2024, 1, 1)
DAYS = 40
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
CITATION = {"title": "试验清单", "issuer": "试验局", "date": "2024-01-01", "locator": "第1条"}
PAY = {
    "start": "next_month",
    "stop": "next_month",
    "band_change": "next_month",
    "when": "arrears",
    "status": "example",
}


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def version(since: int, conditions: dict[str, Any], until: int | None = None, **more: Any) -> dict[str, Any]:
    found = {"valid_from": day(since), "status": "documented", "citation": CITATION, "conditions": conditions}
    return found | ({} if until is None else {"valid_to": day(until)}) | more


def item(name: str, follows: str, *versions: dict[str, Any]) -> dict[str, Any]:
    kind = "cash" if "amount" in versions[0] else "service"
    return {name: {"item": name, "title": name, "kind": kind, "follows": follows, "versions": list(versions)}}


def bands(by: str, *steps: tuple[int, int]) -> dict[str, Any]:
    return {"amount": {"bands": [{by: least, "amount_fen": fen} for least, fen in steps]}, "pay": PAY}


def flat(fen: int) -> dict[str, Any]:
    return {"amount": {"flat_fen": fen}, "pay": PAY}


def rule(mode: str, items: list[str], since: int, **more: Any) -> dict[str, Any]:
    head = {"mode": mode, "items": items, "valid_from": day(since), "status": "documented"}
    return head | {"citation": CITATION} | more


# The small law: the nation, a city, two of its counties; it begins on day 2.
TIERS = [
    {"tier": "A", "interval_days": 7, "mode": "any", "status": "example", "conditions": {"living_tag": ["alone"]}},
    {"tier": "C", "interval_days": 31, "mode": "any", "status": "example"},
]
LAW: list[PolicyList] = [
    from_event(one)
    for one in (
        {
            "jurisdiction": "000000",
            "items": item("ability_assessment", "residence", version(2, {"age_years_min": 65}))
            | item(
                "visiting_care",
                "residence",
                version(
                    2, {"any_of": [{"living_tag": ["alone", "empty_nest"]}, {"ability_level_min": 3}]}, tiers=TIERS
                ),
            )
            | item(
                "nursing_subsidy",
                "hukou",
                version(
                    3,
                    {"all_of": [{"age_years_min": 65}, {"ability_level_min": 2}]},
                    **bands("ability_level_min", (2, 100), (4, 300)),
                ),
            )
            | item(
                "severe_disability_nursing_subsidy",
                "hukou",
                version(4, {"disability": {"levels": [1, 2], "classes": [1, 4]}}, **flat(100)),
            )
            | item("concentrated_support", "hukou", version(2, {"low_income_in": ["tekun"]})),
            "exclusions": [
                rule("block", ["severe_disability_nursing_subsidy"], 5, by=["concentrated_support"]),
                rule("higher_of", ["severe_disability_nursing_subsidy", "nursing_subsidy"], 6, valid_to=day(30)),
            ],
        },
        {
            "jurisdiction": "530300",
            "items": item("longevity_allowance", "hukou", version(2, {"age_years_min": 80}, **flat(10)))
            | item(
                "care_service_subsidy",
                "hukou",
                version(
                    2,
                    {
                        "all_of": [
                            {"age_years_max": 79},
                            {"none_of": [{"low_income_in": ["bianyuan"]}, {"place_in": ["institution"]}]},
                        ]
                    },
                    **flat(70),
                ),
            ),
        },
        {
            "jurisdiction": "530302",
            "items": item(
                "longevity_allowance",
                "hukou",
                version(10, {"age_years_min": 80}, 25, **bands("age_years_min", (80, 50), (90, 100))),
                version(28, {"age_years_min": 80}, **flat(60)),
            ),
        },
        {
            "jurisdiction": "530303",
            "items": item(
                "visiting_care",
                "residence",
                version(8, {"low_income_in": ["dibao", "tekun"]}, tiers=[TIERS[1]]),
            ),
        },
    )
]
LISTS = Lists(LAW)


# --- the oracle: one day, one person, plain reading -------------------------------------------------

Answer = dict[str, tuple[Any, ...]]  # item → (state, area, fen, tier, suppressed by, missing)


def known(facts: Sequence[Fact], kind: str, n: int) -> Any:
    return next((f.value for f in facts if f.kind == kind and f.holds_on(day(n))), None)


def ability_on(abilities: Sequence[Ability], n: int) -> int | None:
    begun = [a for a in abilities if a.valid_from <= day(n)]
    if not begun:
        return None
    newest = max(begun, key=lambda a: (a.valid_from, a.recorded_at, a.assessment_id))
    return newest.level if newest.valid_to is None or day(n) < newest.valid_to else None


def age_years(birth: date, on: date) -> int:
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def oracle(facts: Sequence[Fact], abilities: Sequence[Ability], n: int) -> Answer:
    if n < 2:
        return {}
    deaths = [f for f in facts if f.kind == "death"]
    gone = [f for f in deaths if isinstance(f.value, Death) and f.value.evidence == "register_cancelled"]
    if gone and day(n) > min(f.valid_from or date.min for f in gone):
        return {}
    registrations = [f for f in facts if f.kind == "registration"]
    birth = registrations[-1].value.birth_date if registrations else None  # type: ignore[union-attr]
    age = None if birth is None else age_years(birth, day(n))
    registration, residence = known(facts, "registration", n), known(facts, "residence", n)
    hukou = registration.hukou_division if registration else None
    lives = residence.division if residence else None
    low, disability, living = (known(facts, k, n) for k in ("low_income", "disability", "living_situation"))
    ability = ability_on(abilities, n)
    money, homes = hukou or lives or "", lives or hukou or ""  # the other place where one is not known
    no_hukou = {"registration"} if hukou is None else set()
    no_home = {"residence"} if lives is None else set()
    no_birth = {"registration"} if age is None else set()
    found: Answer = {}

    def grant(name: str, area: str, missing: set[str], fen: int | None = None, tier: str | None = None) -> None:
        if missing:
            found[name] = ("unknown", area, None, None, None, tuple(sorted(missing)))
        else:
            found[name] = ("granted", area, fen, tier, None, ())

    if age is None or age >= 65:
        grant("ability_assessment", "000000", no_home | no_birth)
        lacking = no_birth | ({"ability_result"} if ability is None else set())
        if n >= 3 and (ability is None or ability >= 2):
            grant("nursing_subsidy", "000000", lacking | no_hukou, 300 if ability == 4 else 100)
    if low and low.category == "tekun":
        grant("concentrated_support", "000000", no_hukou)
    if n >= 4 and disability and disability.class_ in (1, 4) and disability.level <= 2:
        grant("severe_disability_nursing_subsidy", "000000", no_hukou, 100)
    visits(found, grant, homes, no_home, (low, living, ability, n))
    if money.startswith("5303"):
        allowance(found, grant, money, n, age, no_birth | no_hukou)
        poor_or_housed = (low and low.category == "bianyuan") or (residence and residence.place == "institution")
        if (age is None or age <= 79) and not poor_or_housed:
            grant("care_service_subsidy", "530300", no_birth | no_home | no_hukou, 70)
    exclude(found, n)
    hold(found, facts, n)
    return found


def visits(found: Answer, grant: Any, homes: str, no_home: set[str], now: tuple[Any, ...]) -> None:
    low, living, ability, n = now
    if n >= 8 and homes.startswith("530303"):
        if low and low.category in ("dibao", "tekun"):
            grant("visiting_care", "530303", no_home, tier="C")
    else:
        tags = living.tags if living else ()
        alone_or_nest = bool({"alone", "empty_nest"} & set(tags))
        tier = "A" if "alone" in tags else "C"
        if alone_or_nest or (ability is not None and ability >= 3):
            grant("visiting_care", "000000", no_home, tier=tier)
        elif ability is None:
            grant("visiting_care", "000000", no_home | {"ability_result"})


def allowance(found: Answer, grant: Any, money: str, n: int, age: int | None, missing: set[str]) -> None:
    if age is not None and age < 80:
        return
    own = money.startswith("530302")
    if own and 10 <= n < 25:
        grant("longevity_allowance", "530302", missing, 100 if age is not None and age >= 90 else 50)
    elif own and n >= 28:
        grant("longevity_allowance", "530302", missing, 60)
    else:
        grant("longevity_allowance", "530300", missing, 10)


def exclude(found: Answer, n: int) -> None:
    severe, nursing = "severe_disability_nursing_subsidy", "nursing_subsidy"

    def granted(name: str) -> bool:
        return name in found and found[name][0] == "granted"

    def suppress(name: str, by: str) -> None:
        _, area, fen, tier, _, missing = found[name]
        found[name] = ("suppressed", area, fen, tier, by, missing)

    if n >= 5 and granted(severe) and granted("concentrated_support"):
        suppress(severe, "concentrated_support")
    if 6 <= n < 30 and granted(severe) and granted(nursing):
        if found[nursing][2] > found[severe][2]:
            suppress(severe, nursing)
        else:
            suppress(nursing, severe)


def hold(found: Answer, facts: Sequence[Fact], n: int) -> None:
    """A report counts until a sign of life on its day or later."""
    if any(isinstance(f.value, Death) and f.value.evidence == "register_cancelled" for f in facts):
        return
    seen = [f.valid_from for f in facts if f.kind == "alive" and f.valid_from]
    reports = [f.valid_from for f in facts if f.kind == "death" and f.valid_from]
    open_ = [r for r in reports if not any(s >= r for s in seen)]
    if not open_ or day(n) < min(open_):
        return
    for name, (state, *rest) in list(found.items()):
        if state == "granted" and name not in ("ability_assessment", "concentrated_support", "visiting_care"):
            found[name] = ("suspended", *rest)


# --- generated lives --------------------------------------------------------------------------------

PLACES = ["530302", "530303", "530302001", "530304", "140702", "999999"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "residence": st.builds(Residence, division=st.sampled_from(PLACES), place=st.sampled_from(["home", "institution"])),
    "disability": st.builds(Disability, class_=st.sampled_from([1, 2, 4]), level=st.sampled_from([1, 2, 3])),
    "low_income": st.builds(LowIncome, category=st.sampled_from(["dibao", "tekun", "bianyuan"])),
    "living_situation": st.builds(
        LivingSituation, tags=st.sampled_from([(), ("alone",), ("empty_nest",), ("alone", "empty_nest")])
    ),
}


def fact(kind: str, value: Value, since: int | None, until: int | None, name: str) -> Fact:
    start, end = (None if n is None else day(n) for n in (since, until))
    return Fact(kind, value, start, end, name, "urn:cn:exchange:test", 1)


@st.composite
def line(draw: st.DrawFn, kind: str, values: st.SearchStrategy[Any]) -> list[Fact]:
    """Facts of one kind, one after the other, with gaps."""
    cuts = sorted(set(draw(st.lists(st.integers(0, DAYS), max_size=4))))
    edges = [None, *cuts, None]
    return [
        fact(kind, draw(values), start, end, f"{kind}{i}")
        for i, (start, end) in enumerate(pairwise(edges))
        if draw(st.booleans())
    ]


@st.composite
def lives(draw: st.DrawFn) -> list[Fact]:
    birth = st.builds(
        lambda years, n: (FIRST + timedelta(days=n)).replace(year=2024 - years),
        st.sampled_from([65, 80, 90]),
        st.integers(-5, DAYS).filter(lambda n: (FIRST + timedelta(days=n)).month < 3 or n < 0),
    )
    registered = st.builds(
        Registration,
        sex=st.just("1"),
        birth_date=birth.filter(lambda b: (b.month, b.day) != (2, 29)),
        hukou_division=st.sampled_from(PLACES),
        hukou_kind=st.just("rural"),
    )
    found = draw(line("registration", registered))
    for kind, values in VALUES.items():
        found += draw(line(kind, values))
    kinds: list[DeathEvidence] = ["register_cancelled", "reported", "medical_certificate"]
    for i, n in enumerate(draw(st.lists(st.integers(0, DAYS), max_size=1))):
        evidence = draw(st.sampled_from(kinds))
        found.append(fact("death", Death(evidence=evidence), n, n + 1, f"death{i}"))
    for i, n in enumerate(draw(st.lists(st.integers(0, DAYS), max_size=1))):
        found.append(fact("alive", Alive(method="visit"), n, n + 1, f"alive{i}"))
    return found


results = st.builds(
    lambda name, level, since, span: Ability(
        assessment_id=name,
        scale="GB/T 42195",
        scale_version="2022",
        level=level,
        valid_from=day(since),
        valid_to=None if span is None else day(since + span),
        recorded_at=MOMENT,
    ),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 4),
    st.integers(-3, DAYS),
    st.none() | st.integers(1, 20),
)


def answers(entitlements: Sequence[Entitlement], n: int) -> Answer:
    found: Answer = {}
    for e in entitlements:
        if e.from_ <= day(n) and (e.to is None or day(n) < e.to):
            assert e.item not in found, "two intervals of one item on one day"
            found[e.item] = (
                e.state,
                e.jurisdiction,
                e.amount_fen_per_month,
                e.tier,
                e.suppressed_by,
                e.missing_facts,
            )
    return found


@settings(max_examples=200, deadline=None)
@given(lives(), st.lists(results, max_size=3, unique_by=lambda a: a.assessment_id))
def test_every_day_is_as_the_law_reads(facts: list[Fact], abilities: list[Ability]) -> None:
    entitlements = decide("p", facts, abilities, LISTS).entitlements
    for n in range(-2, DAYS + 5):
        assert answers(entitlements, n) == oracle(facts, abilities, n), n


@settings(max_examples=100, deadline=None)
@given(lives(), st.lists(results, max_size=3, unique_by=lambda a: a.assessment_id))
def test_intervals_are_as_long_as_they_can_be_and_a_repetition_is_identical(
    facts: list[Fact], abilities: list[Ability]
) -> None:
    entitlements = decide("p", facts, abilities, LISTS).entitlements
    assert decide("p", facts, list(reversed(abilities)), Lists(LAW)).entitlements == entitlements
    for e, after in pairwise(entitlements):
        assert (e.item, e.from_) < (after.item, after.from_)
        if e.item == after.item and e.to == after.from_:
            assert _content(e) != _content(after)
    ids = [e.entitlement_id for e in entitlements]
    assert len(set(ids)) == len(ids)
    for e in entitlements:
        assert e.to is None or e.from_ < e.to
        name = f"p|{e.item}|{e.jurisdiction}|{e.from_.isoformat()}"
        assert e.entitlement_id == str(uuid5(ENTITLEMENTS, name))


def _content(e: Entitlement) -> tuple[Any, ...]:
    said = (e.state, e.jurisdiction, e.amount_fen_per_month, e.tier, e.suppressed_by, e.missing_facts, e.policy)
    return (*said, e.division if e.tier else None)


@settings(max_examples=60, deadline=None)
@given(lives(), st.lists(results, max_size=2, unique_by=lambda a: a.assessment_id), st.integers(0, DAYS))
def test_an_explanation_agrees_with_the_decision(facts: list[Fact], abilities: list[Ability], n: int) -> None:
    decided = answers(decide("p", facts, abilities, LISTS).entitlements, n)
    for name in ("longevity_allowance", "visiting_care", "nursing_subsidy", "care_service_subsidy", "dibao"):
        said = explain(facts, abilities, LISTS, name, day(n))
        assert said.outcome == decided.get(name, ("refused",))[0]
        if said.outcome == "granted":
            assert all(c.holds for c in said.conditions)
        if said.outcome == "unknown":
            assert any(c.holds is None for c in said.conditions)


# --- single rules -----------------------------------------------------------------------------------


def _elder(birth: date, *, hukou: str = "530302", event_id: str = "reg", since: int | None = None) -> Fact:
    value = Registration(sex="2", birth_date=birth, hukou_division=hukou, hukou_kind="urban")
    return fact("registration", value, since, None, event_id)


def test_the_facts_cited_are_those_that_the_conditions_read() -> None:
    facts = [
        fact("disability", Disability(class_=1, level=1), 12, None, "card"),
        fact("living_situation", LivingSituation(tags=("alone",)), 0, None, "alone"),
        _elder(date(1930, 1, 1)),
        fact("residence", Residence(division="530304"), None, None, "home"),
    ]
    cited = {e.item: e.facts for e in decide("p", facts, [], LISTS).entitlements}
    assert cited["severe_disability_nursing_subsidy"] == ("reg", "card")
    assert cited["longevity_allowance"] == ("reg",)
    assert cited["visiting_care"] == ("home", "alone")
    assert cited["ability_assessment"] == ("home", "reg")


def test_a_move_within_the_county_neither_ends_nor_starts_an_allowance_and_cites_both_statements() -> None:
    birth = date(1930, 1, 1)
    before = _elder(birth, hukou="530302001")._replace(valid_to=day(30))
    after = _elder(birth, hukou="530302002", event_id="moved", since=30)
    found = [e for e in decide("p", [before, after], [], LISTS).entitlements if e.item == "longevity_allowance"]
    assert [(e.from_, e.to) for e in found][-1] == (day(28), None)
    assert found[-1].facts == ("reg", "moved")


def test_the_decision_has_birth_date_places_and_death() -> None:
    facts = [
        _elder(date(1950, 5, 5)),
        fact("residence", Residence(division="530303001"), None, None, "home"),
        fact("death", Death(evidence="reported"), 3, 4, "report"),
    ]
    decision = decide("p", facts, [], LISTS)
    assert (decision.birth_date, decision.hukou) == (date(1950, 5, 5), "530302")
    assert (decision.residence, decision.died_on, decision.death_suspected_on) == ("530303001", None, day(3))


def test_an_item_named_by_the_list_of_the_hukou_and_by_that_of_the_residence_is_given_once() -> None:
    by_hukou = item("longevity_allowance", "hukou", version(2, {"age_years_min": 80}, **flat(10)))
    by_home = item("longevity_allowance", "residence", version(2, {"age_years_min": 80}, **flat(90)))
    both = Lists(
        [
            from_event({"jurisdiction": "530302", "items": by_hukou}),
            from_event({"jurisdiction": "140700", "items": by_home}),
        ]
    )
    facts = [
        _elder(date(1930, 1, 1)),
        fact("residence", Residence(division="140702"), None, None, "home"),
    ]
    found = decide("p", facts, [], both).entitlements
    assert [(e.jurisdiction, e.amount_fen_per_month) for e in found] == [("530302", 10)]


def test_nothing_is_decided_without_lists() -> None:
    assert decide("p", [_elder(date(1930, 1, 1))], [], Lists([])).entitlements == ()


def test_the_citation_behind_an_entitlement_is_found_by_its_policy() -> None:
    found = decide("p", [_elder(date(1930, 1, 1))], [], LISTS).entitlements[0]
    ref = policy_ref(LISTS, found.policy)
    assert ref is not None
    assert (ref.version, ref.title, ref.locator, ref.status) == (found.policy, "试验清单", "第1条", "documented")
    assert policy_ref(LISTS, "000000/dibao@2024-01-01") is None


def test_the_explanation_of_an_item_that_no_list_has_yet_names_the_first_day_with_it() -> None:
    born = _elder(date(1930, 1, 1))
    first = next(e for e in decide("p", [born], [], LISTS).entitlements if e.item == "longevity_allowance")
    said = explain([born], [], LISTS, first.item, first.from_ - timedelta(days=1))
    assert (said.outcome, said.given_from) == ("refused", first.from_)
    assert explain([born], [], LISTS, first.item, first.from_).given_from is None


@pytest.mark.parametrize("on", [day(5), day(12), day(26)])
def test_after_a_death_the_explanation_says_so(on: date) -> None:
    gone = fact("death", Death(evidence="register_cancelled"), 4, 5, "gone")
    said = explain([gone, _elder(date(1930, 1, 1))], [], LISTS, "longevity_allowance", on)
    assert said.outcome == "refused"
    assert "去世" in said.sentence
    assert said.conditions[0].facts[0].event_id == "gone"
