"""After a remedy `decide` grants the item; a remedy is as small as possible, and none is missing."""

import random
from collections.abc import Iterator
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.events.facts import Registration, Residence
from plain_lives import Plain, life
from random_lives import BENEFITS, CITATION, ITEMS, PLACES, Chance
from rules.deciding.conditions import evaluate, leaves_of_version
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.wording import condition_text
from rules.facts.timeline import Fact
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import PolicyList, load_lists
from rules.form.situation import AGE, NOTHING_KNOWN, REST, SEVERAL, SLOTS, with_value
from rules.words.explain import Explanation, explain
from rules.words.remedies import TOLD_MAX

REAL = Lists(load_lists(Path(__file__).parents[3] / "contracts" / "policy").values())
TODAY = date(2026, 11, 20)
# Circumstances of which every change is tried. A remedy never suggests a move; a birthday has its own search.
KIND_OF = {row.name: row.fact.code for slot, row in enumerate(CIRCUMSTANCES) if slot in REST and slot != AGE}
MERITS = ("veteran", "special_contribution")
SLOT_OF = {name: SLOTS[name] for name in KIND_OF}
KNOWN = {slot: row.known for slot, row in enumerate(CIRCUMSTANCES) if slot not in SEVERAL}
HELPED = ("granted", "choice_required")


def explained(known: Plain, item: str, lists: Lists = REAL, on: date = TODAY) -> Explanation:
    facts, abilities = life(known, on)
    return explain(facts, abilities, lists, item, on)


def helped(known: Plain, item: str, lists: Lists, on: date) -> bool:
    facts, abilities = life(known, on)
    found = decide("p", facts, abilities, lists).entitlements
    return any(e.item == item and e.state in HELPED and e.from_ <= on and (e.to is None or on < e.to) for e in found)


def test_a_remedy_names_a_birthday_with_its_day() -> None:
    known = {"hukou": "530302", "residence": "530302001", "age": 79}
    found = explained(known, "longevity_allowance")
    assert found.outcome == "refused"
    (remedy,) = found.remedies
    (circumstance,) = remedy.circumstances
    assert (circumstance.kind, circumstance.on) == ("registration", date(2027, 11, 20))
    assert found.given_from == circumstance.on
    assert remedy.amount_fen_per_month is not None
    assert remedy.text.startswith("若年满80周岁（2027-11-20），即可享受高龄津贴，每月")


def test_a_remedy_names_a_certificate_in_the_words_of_the_list() -> None:
    found = explained({"hukou": "530302", "residence": "530302001", "age": 70}, "severe_disability_nursing_subsidy")
    texts = [[c.text for c in remedy.circumstances] for remedy in found.remedies]
    assert ["持有一、二级残疾人证"] in texts
    assert found.given_from is None


def test_of_different_amounts_a_remedy_names_the_least_as_such() -> None:
    found = explained({"hukou": "110101", "residence": "110101001", "age": 66}, "nursing_subsidy")
    remedy = next(r for r in found.remedies if "一、二级" in r.text)
    assert remedy.amount_fen_per_month == 20_000
    assert "每月200.00元起" in remedy.text


def test_a_person_who_has_the_item_gets_no_remedy() -> None:
    found = explained({"hukou": "530302", "residence": "530302001", "age": 85}, "longevity_allowance")
    assert (found.outcome, found.remedies, found.given_from) == ("granted", (), None)


def test_there_is_no_remedy_while_the_place_that_counts_is_unknown() -> None:
    assert explained({"residence": "530302001"}, "longevity_allowance").remedies == ()


def test_no_remedy_suggests_that_the_residence_becomes_unknown() -> None:
    """The item is for all who do not live in an institution."""
    version = {"valid_from": "2023-01-01", "status": "documented", "citation": CITATION}
    at_home = version | {"conditions": {"none_of": [{"place_in": ["institution"], "absent_means": "not_met"}]}}
    item = {
        "item": "home_adaptation",
        "title": "家庭适老化改造",
        "kind": "service",
        "follows": "hukou",
        "versions": [at_home],
    }
    law = {"jurisdiction": "530302", "items": {"home_adaptation": item}}
    known = {"hukou": "530302", "residence": "530302001", "place": "institution", "age": 70}
    found = explained(known, "home_adaptation", Lists([msgspec.convert(law, PolicyList)]))
    assert found.outcome == "refused"
    assert [[c.text for c in remedy.circumstances] for remedy in found.remedies] == [["居住地为居家"]]


def law_of(seed: int) -> Lists:
    law = Chance(seed).law()
    return Lists(msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items())


def worlds(seed: int, lists: Lists, on: date) -> Iterator[tuple[Plain, str, Explanation]]:
    """Random persons and the items that they do not get."""
    rng = random.Random(seed)
    for _ in range(12):
        known: Plain = {"hukou": rng.choice(PLACES), "residence": rng.choice(PLACES), "age": rng.randint(40, 95)}
        for name, slot in SLOT_OF.items():
            if rng.random() < 0.4:
                known[name] = rng.choice(KNOWN[slot]) if slot in KNOWN else several(rng, name)
        for item in ITEMS:
            found = explained(known, item, lists, on)
            if found.outcome in ("refused", "unknown") and found.policy is not None:
                yield known, item, found


def several(rng: random.Random, name: str) -> frozenset[Any]:
    """Values that hold together: merits, benefits elsewhere, applications."""
    if name == "merits":
        return frozenset(rng.sample(MERITS, rng.randint(1, 2)))
    if name == "elsewhere":
        return frozenset((benefit, 1000) for benefit in rng.sample(BENEFITS, 2))
    assert name == "wishes", f"test_remedies.several and options have no values of {name}"
    return frozenset((item, "apply") for item in rng.sample(ITEMS, 2))


def options(known: Plain, name: str) -> list[Any]:
    """Every other possible value."""
    slot, now = SLOT_OF[name], known.get(name)
    if slot in KNOWN:
        return [*KNOWN[slot], *([] if KIND_OF[name] in ("registration", "residence") else [None])]
    had = sorted(now or ())
    fewer = [frozenset(some) or None for n in range(len(had) + 1) for some in combinations(had, n)]
    if name == "elsewhere":
        return fewer
    more = list(MERITS) if name == "merits" else [(item, "apply") for item in ITEMS]
    return [*fewer, *(frozenset(some) | (now or frozenset()) for n in (1, 2) for some in combinations(more, n))]


def changed(known: Plain, name: str, value: Any) -> Plain:
    if value is not None:
        return {**known, name: value}
    return {k: v for k, v in known.items() if k != name}


def helping(known: Plain, item: str, lists: Lists, on: date) -> set[str]:
    """The kinds of which one other value, or none, is enough, found by trying each."""
    found = set()
    for name in SLOT_OF:
        others = [v for v in options(known, name) if v != known.get(name)]
        if any(helped(changed(known, name, value), item, lists, on) for value in others):
            found.add(KIND_OF[name])
    if any(helped({**known, "age": age}, item, lists, on) for age in KNOWN[AGE] if age > known["age"]):
        found.add("registration")
    return found


@pytest.mark.parametrize("seed", range(3))
def test_of_single_changes_the_remedies_are_exactly_those_that_help(seed: int) -> None:
    lists = law_of(seed)
    on = date(2024, 6, 1)
    looked_at = 0
    for known, item, found in worlds(seed, lists, on):
        told = {r.circumstances[0].kind for r in found.remedies if len(r.circumstances) == 1}
        wanted = helping(known, item, lists, on)
        assert told == wanted if len(found.remedies) < TOLD_MAX else told <= wanted, (known, item)
        looked_at += bool(wanted)
    assert looked_at > 5


@pytest.mark.parametrize("seed", range(3))
def test_every_value_that_the_words_of_a_remedy_cover_helps(seed: int) -> None:
    """If a remedy names a certificate, every certificate that the words cover helps."""
    lists = law_of(seed)
    on = date(2024, 6, 1)
    tests = {
        (item, condition_text(test)): test
        for one in lists.by_area.values()
        for item, policy in one.items.items()
        for version in policy.versions
        for test in leaves_of_version(version)
    }
    covered = 0
    for known, item, found in worlds(seed, lists, on):
        for remedy in found.remedies:
            (first, *more) = remedy.circumstances
            test = tests.get((item, first.text))
            name = next((name for name, kind in KIND_OF.items() if kind == first.kind), None)
            if more or test is None or name is None or SLOT_OF[name] not in KNOWN:
                continue
            passing = [v for v in KNOWN[SLOT_OF[name]] if evaluate(test, with_value(NOTHING_KNOWN, SLOT_OF[name], v))]
            covered += len(passing) > 1
            assert all(helped(changed(known, name, v), item, lists, on) for v in passing), (known, item, first.text)
    assert covered


@pytest.mark.parametrize("seed", range(3))
def test_no_change_of_a_remedy_is_unnecessary(seed: int) -> None:
    """A remedy has several circumstances only if none of their kinds alone is enough."""
    several = 0
    for known, item, found in worlds(seed, REAL, TODAY):
        for remedy in found.remedies:
            kinds = {c.kind for c in remedy.circumstances}
            if len(kinds) > 1:
                several += 1
                assert not kinds & helping(known, item, REAL, TODAY), (known, item)
    assert several > 5


def test_a_person_without_a_hukou_is_refused_for_that_reason_and_asked_for_nothing() -> None:
    born = Fact("registration", Registration(sex="2", birth_date=date(1940, 1, 1)), None, None, "reg", "s", 1)
    lives = Fact("residence", Residence(division="530302001"), None, None, "home", "s", 1)
    found = explain([born, lives], [], REAL, "longevity_allowance", TODAY)
    assert (found.outcome, [c.holds for c in found.conditions]) == ("refused", [False])
    assert found.sentence == f"{TODAY}，高龄津贴按户籍享受，本人没有户籍（持居住证件）。"
    assert [ref.event_id for ref in found.conditions[0].facts] == ["reg"]
    nowhere = explain([born], [], REAL, "ability_assessment", TODAY)
    assert nowhere.outcome == "unknown"
