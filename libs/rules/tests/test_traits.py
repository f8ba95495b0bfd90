"""Stored forms that must not change: traits lines, the order of facts in a decision, and the JSON of a list."""

import hashlib
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from common.events.ability import Ability
from common.events.facts import (
    Application,
    BenefitElsewhere,
    Disability,
    LivingSituation,
    LowIncome,
    Merit,
    Registration,
    Residence,
    SpecialFamily,
)
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.traits import ANYTHING, read_traits, traits_of
from rules.facts.timeline import Fact
from rules.form.policy import from_event, to_event_dict

LETTERS = "adehlmrsvwx"  # stored since the first lines
BORN = date(1945, 5, 6)
LEVEL = Ability(
    assessment_id="a1",
    scale="GB/T 42195",
    scale_version="2022",
    level=2,
    valid_from=date(2024, 1, 1),
    recorded_at=datetime(2024, 1, 1, tzinfo=UTC),
)


def registered(hukou: str | None = "530302") -> Registration:
    return Registration(sex="2", birth_date=BORN, hukou_division=hukou)


EVERYTHING = (
    registered(),
    Residence(division="530302001", place="institution"),
    Disability(class_=4, level=2),
    LowIncome(category="tekun", support="scattered"),
    LivingSituation(tags=("empty_nest", "alone")),
    SpecialFamily(only_child="dead"),
    Merit(merit="veteran"),
    BenefitElsewhere(benefit="work_injury_care", amount_fen_per_month=12_300),
    Application(item="visiting_care", wish="apply", channel="counter"),
)


def facts_of(*values: Any) -> list[Fact]:
    facts = [Fact(type(v).__struct_config__.tag, v, None, None, f"e{n}", "s", 1) for n, v in enumerate(values)]
    return sorted(facts, key=lambda fact: fact.kind)


@pytest.mark.parametrize(
    ("values", "abilities", "died_on", "line"),
    [
        ((), (), None, "h? r?"),
        ((registered(None),), (), None, "h: r?"),
        ((registered(), Residence(division="530302001")), (), None, "h:530302 r:530302001/home"),
        ((LivingSituation(),), (), None, "h? r? v:"),
        ((LowIncome(category="dibao"),), (), date(2025, 3, 1), "h? l:dibao r? x:2025"),
        ((BenefitElsewhere(benefit="retired_cadre_care"),), (), None, "e:retired_cadre_care/None h? r?"),
        ((Application(item="dibao", wish="decline", channel="visit"),), (), None, "h? r? w:dibao/decline"),
        (
            EVERYTHING,
            (LEVEL,),
            date(2026, 1, 2),
            "a:2 d:4.2 e:work_injury_care/12300 h:530302 l:tekun/scattered m:veteran r:530302001/institution s:dead"
            " v:alone,empty_nest w:visiting_care/apply x:2026",
        ),
    ],
)
def test_a_traits_line_is_written_as_it_has_always_been_stored(
    values: tuple[Any, ...], abilities: tuple[Ability, ...], died_on: date | None, line: str
) -> None:
    """A later circumstance adds its parts, and the migration with its letter resets the lines that lack them."""
    written = traits_of(facts_of(*values), abilities, died_on).split()
    assert " ".join(part for part in written if part[0] in LETTERS) == line


def test_a_place_known_on_some_days_only_is_marked_as_partly_unknown() -> None:
    homes = [
        Fact("residence", Residence(division="530302"), None, date(2024, 1, 1), "e1", "s", 1),
        Fact("residence", Residence(division="530303"), date(2025, 1, 1), None, "e2", "s", 1),
    ]
    assert traits_of(homes, (), None) == "h? r:530302/home r:530303/home r?"


def test_more_than_eight_values_of_a_kind_that_may_hold_together_are_not_told_apart() -> None:
    benefits = [BenefitElsewhere(benefit="work_injury_care", amount_fen_per_month=n) for n in range(9)]
    assert traits_of(facts_of(*benefits[:8]), (), None) != ANYTHING
    assert traits_of(facts_of(*benefits), (), None) == ANYTHING


def test_a_stored_traits_line_is_read_into_every_value_that_it_names() -> None:
    line = traits_of(facts_of(*EVERYTHING), (LEVEL,), date(2026, 1, 2))
    traits = read_traits(line)
    assert traits.hukous == ("530302",)
    assert traits.residences == (("530302001", "institution"),)
    assert traits.died_in == 2026
    assert read_traits("h: r?").hukous == ("",)
    assert read_traits("h: r?").residences == ((None, None),)


TESTS: list[dict[str, Any]] = [
    {"age_years_min": 60},
    {"hukou_in": ["530302"]},
    {"residence_in": ["530302"]},
    {"place_in": ["institution"]},
    {"low_income_in": ["tekun"]},
    {"support_in": ["scattered"]},
    {"disability": {}},
    {"ability_level_min": 1},
    {"living_tag": ["alone"]},
    {"special_family": ["dead"]},
    {"merit_in": ["veteran"]},
    {"benefit_elsewhere_in": ["work_injury_care"]},
    {"applied": ["visiting_care"]},
]
CITATION = {"title": "清单", "issuer": "民政局", "date": "2024-01-01", "locator": "第1条"}
VERSION = {"valid_from": "2024-01-01", "status": "documented", "citation": CITATION, "conditions": {"all_of": TESTS}}
ITEM = {"item": "dibao", "title": "低保", "kind": "cash", "follows": "residence", "versions": [VERSION]}
LIST = from_event({"jurisdiction": "530302", "items": {"dibao": ITEM}})


def test_the_facts_of_an_entitlement_are_stored_in_the_order_of_the_circumstances() -> None:
    decision = decide("p", facts_of(*EVERYTHING), (LEVEL,), Lists([LIST]))
    granted = next(e for e in decision.entitlements if e.state == "granted")
    assert granted.facts == ("e0", "e1", "e2", "e3", "e4", "e5", "a1", "e6", "e7", "e8")


def test_the_json_of_a_list_and_so_its_digest_is_as_it_has_always_been() -> None:
    written = msgspec.json.encode(to_event_dict(LIST))
    assert hashlib.sha256(written).hexdigest() == "aa7b05f804a5f9b213337d4d96e3ac89265eaf1c22d854e352b97d035cc8696d"
