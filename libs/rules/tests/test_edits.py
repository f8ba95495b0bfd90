"""A person whom an edit cannot touch keeps the same decision: random edits of random laws over random lives."""

import copy
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.events.coverage import FeedDeclared
from common.events.facts import Disability, LivingSituation, LowIncome, Registration, Residence
from mutations import of_item, of_rules
from random_lives import AREAS, CHOICE, CITATION, PAY, Chance
from rules.deciding.areas import NOWHERE
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.traits import ANYTHING, read_traits, traits_of
from rules.facts.coverage import Coverage
from rules.facts.timeline import Fact, abilities_known_at, facts_known_at
from rules.form.policy import NATION, PolicyList, load_lists, to_event_dict
from rules.form.situation import ABILITY, AGE, SLOTS
from rules.proof.edits import AreaEdit, Edit, edits_between

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
REAL = load_lists(POLICY)
Law = dict[str, dict[str, Any]]
LAWS, EDITS, LIVES = 8, 8, 12


def lists_of(law: Law) -> Lists:
    return Lists(msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items())


def edited(chance: Chance, law: Law) -> Law | None:
    """The law with one change; None if the result is no valid list."""
    law = copy.deepcopy(law)
    area = chance.rng.choice(AREAS)
    items, rules = law[area]["items"], law[area]["exclusions"]
    what = chance.rng.random()
    if what < 0.1 and items:
        del items[chance.rng.choice([*items])]
    elif what < 0.2:
        law[area] = {"items": items, "exclusions": chance._rules()}
    elif what < 0.25:
        del law[area]
    elif what < 0.35 and rules:
        chance.rng.choice([*of_rules(rules), ("the rules the other way round", list.reverse)])[1](rules)
    elif items:
        item = items[chance.rng.choice([*items])]
        chance.rng.choice([*of_item(item)])[1](item)
    try:
        lists_of(law)
    except msgspec.ValidationError:
        return None
    return law


def cases(seed: int) -> Iterator[tuple[Chance, Lists, Lists]]:
    chance = Chance(seed)
    law = chance.law()
    for _ in range(EDITS):
        if (other := edited(chance, law)) is not None:
            yield chance, lists_of(law), lists_of(other)


def covered(lists: Lists, told: Any) -> Lists:
    coverage = Coverage({place: msgspec.convert(feeds, list[FeedDeclared]) for place, feeds in told.items()})
    return Lists(lists.by_area.values(), coverage=coverage)


@pytest.mark.parametrize("seed", range(LAWS))
def test_a_person_whom_another_coverage_does_not_touch_is_decided_as_before(seed: int) -> None:
    """Some persons must be untouched, else the test proves nothing."""
    touched = untouched = changed = 0
    for chance, plain, other in cases(seed):
        told = chance.told()
        fewer = {place: feeds[1:] for place, feeds in told.items() if chance.rng.random() < 0.8}
        before, after = covered(plain, told), covered(chance.rng.choice([plain, plain, other]), fewer)
        edit = Edit(before, after)
        for _ in range(LIVES):
            statements, abilities = chance.statements(6), chance.abilities()
            facts, choices = facts_known_at(statements), chance.choices()
            was, now = (decide("p", facts, abilities, lists, choices=choices) for lists in (before, after))
            hit = edit.touches(traits_of(facts, abilities, was.died_on))
            assert hit or was == now
            assert edit.keeps("p", was.entitlements, facts, abilities, choices) == (was == now)
            touched, untouched, changed = touched + hit, untouched + (not hit), changed + (was != now)
    assert touched >= changed > 0 < untouched


@pytest.mark.parametrize("seed", range(LAWS))
def test_a_person_whom_an_edit_does_not_touch_is_decided_as_before(seed: int) -> None:
    for chance, before, after in cases(seed):
        edit = Edit(before, after)
        for _ in range(LIVES):
            statements, abilities = chance.statements(12), chance.abilities()
            facts, choices = facts_known_at(statements), chance.choices()
            was, now = (decide("p", facts, abilities, lists, choices=choices) for lists in (before, after))
            if not edit.touches(traits_of(facts, abilities, was.died_on)):
                assert was == now
            assert edit.keeps("p", was.entitlements, facts, abilities, choices) == (was == now)


def test_many_are_not_touched_and_most_of_those_touched_change() -> None:
    """The selection must leave persons out, else the test above proves nothing."""
    untouched = touched = changed = 0
    for seed in range(100, 103):
        for chance, before, after in cases(seed):
            edit = Edit(before, after)
            for _ in range(LIVES):
                facts, abilities = facts_known_at(chance.statements(4)), chance.abilities()
                was, now = (decide("p", facts, abilities, lists) for lists in (before, after))
                hit = edit.touches(traits_of(facts, abilities, was.died_on))
                touched, untouched = touched + hit, untouched + (not hit)
                changed += was != now
    assert touched / 3 < changed < touched < untouched


# --- the lists in force ---


def change(area: str, item: str, put: Any) -> Edit:
    plain = to_event_dict(REAL[area])
    put(plain["items"][item]["versions"][-1])
    return Edit(Lists(REAL.values()), Lists((REAL | {area: msgspec.convert(plain, PolicyList)}).values()))


def line(*values: Any, hukou: str = "530302", lives: str = "530302001", died_on: date | None = None) -> str:
    said = [
        ("registration", Registration(sex="2", birth_date=date(1950, 1, 1), hukou_division=hukou, hukou_kind="rural")),
        ("residence", Residence(division=lives)),
        *((type(value).__struct_config__.tag, value) for value in values),
    ]
    return traits_of([Fact(kind, value, None, None, kind, "s", 1) for kind, value in said], (), died_on)


POOR, DISABLED = LowIncome(category="dibao"), Disability(class_=4, level=1)


def another_amount(version: Any) -> None:
    version["amount"] = {"flat_fen": 12_345}


def another_word(version: Any) -> None:
    version["citation"]["title"] += "（修订）"


def test_an_allowance_for_the_disabled_poor_touches_nobody_else() -> None:
    edit = change("530300", "disability_living_subsidy", another_amount)
    assert edit.areas == (AreaEdit("530300", ("disability_living_subsidy",), rules=False),)
    assert edit.touches(line(POOR, DISABLED))
    assert not edit.touches(line())
    assert edit.is_narrow
    assert not edit.touches(line(POOR))
    assert not edit.touches(line(DISABLED))


def test_an_allowance_for_the_old_touches_everybody_there_for_all_grow_old() -> None:
    edit = change("530302", "longevity_allowance", another_amount)
    assert edit.touches(line())
    assert not edit.touches(line(hukou="530303", lives="530303001"))


def test_an_item_by_hukou_does_not_touch_persons_who_only_live_there() -> None:
    edit = change("530302", "longevity_allowance", another_amount)
    assert not edit.touches(line(hukou="530303", lives="530302001"))


def test_a_change_after_a_death_does_not_touch_the_deceased() -> None:
    edit = change("530302", "longevity_allowance", lambda version: version.update(valid_to="2027-01-01"))
    assert edit.touches(line(died_on=date(2027, 1, 1)))
    assert not edit.touches(line(died_on=date(2026, 12, 31)))


def test_another_citation_changes_nobodys_entitlements() -> None:
    edit = change("530302", "longevity_allowance", another_word)
    assert edit.areas
    assert not edit.touches(line())


def test_a_person_who_may_choose_is_touched_by_another_rule_of_choice() -> None:
    """The items that they have depend on earlier days, so only a decision shows whether anything changes."""
    everybody = {"conditions": {"none_of": [{"living_tag": ["alone"]}]}, "amount": {"flat_fen": 100}, "pay": PAY}
    version = {"valid_from": date(2024, 1, 1), "status": "documented", "citation": CITATION, **everybody}
    items = {i: {"item": i, "title": i, "kind": "cash", "follows": "hukou", "versions": [version]} for i in CHOICE}
    rule = {"mode": "choice", "valid_from": date(2024, 1, 1), "status": "documented", "citation": CITATION}
    law = {NATION: {"items": items, "exclusions": [rule | {"items": CHOICE[:2]}]}}
    other = {NATION: {"items": items, "exclusions": [rule | {"items": CHOICE}]}}
    assert Edit(lists_of(law), lists_of(other)).touches(line())


def test_the_same_lists_are_no_edit() -> None:
    assert edits_between(REAL, dict(REAL)) == ()
    assert not Edit(Lists(REAL.values()), Lists(REAL.values())).touches(ANYTHING)


# --- the line ---


@pytest.mark.parametrize("seed", range(5))
def test_traits_are_read_as_they_were_written(seed: int) -> None:
    chance = Chance(seed)
    for _ in range(40):
        facts, abilities = facts_known_at(chance.statements()), abilities_known_at(chance.abilities())
        written = traits_of(facts, abilities, date(2025, 3, 1))
        if written == ANYTHING:
            continue
        traits = read_traits(written)
        said = {(type(f.value), getattr(f.value, "hukou_division", None)) for f in facts}
        hukous = {h or NOWHERE for kind, h in said if kind is Registration}
        assert {h for h in traits.hukous if h is not None} == hukous
        levels = {(f.value.class_, f.value.level) for f in facts if isinstance(f.value, Disability)}
        assert {*traits.rest[SLOTS["disability"] - AGE]} == {None, *levels}
        assert {*traits.rest[ABILITY - AGE]} == {None, *(a.level for a in abilities)}
        assert traits.died_in == 2025


def test_more_traits_than_are_worth_telling_apart_are_any() -> None:
    facts = [Fact("residence", Residence(division=f"{n:012}"), None, None, "e", "s", 1) for n in range(100)]
    assert traits_of(facts, (), None) == ANYTHING


def test_an_edit_of_an_item_by_residence_touches_those_without_a_hukou_and_one_by_hukou_does_not() -> None:
    without = [
        ("registration", Registration(sex="2", birth_date=date(1950, 1, 1))),
        ("residence", Residence(division="530302001")),
        ("living_situation", LivingSituation(tags=("alone",))),
    ]
    facts = [Fact(kind, value, None, None, kind, "s", 1) for kind, value in without]
    assert "h:" in traits_of(facts, [], None).split()
    visits, money = ("visiting_care", "530300"), ("longevity_allowance", "530302")
    for (item, area), touched in ((visits, True), (money, False)):
        edit = Edit(Lists(REAL.values()), Lists(_later(item, area).values()))
        assert edit.touches(traits_of(facts, [], None)) is touched


def _later(item: str, area: str) -> dict[str, PolicyList]:
    """The lists with one item beginning a day later."""
    one = REAL[area]
    first, *rest = one.items[item].versions
    moved = msgspec.structs.replace(first, valid_from=first.valid_from + timedelta(days=1))
    changed = msgspec.structs.replace(one.items[item], versions=(moved, *rest))
    return REAL | {area: msgspec.structs.replace(one, items=one.items | {item: changed})}
