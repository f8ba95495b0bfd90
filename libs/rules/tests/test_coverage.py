"""A missing fact means no only where a source reports every change of the kind. Elsewhere it is a question."""

from datetime import date
from typing import Any

import pytest
from common.events.coverage import FeedDeclared
from common.events.facts import Kind
from plain_lives import life
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.coverage import NOTHING_DECLARED, Coverage, Where
from rules.facts.timeline import Fact
from rules.form.policy import from_event
from rules.words.explain import Explanation, explain

CITATION = {"title": "试验清单", "issuer": "试验局", "date": "2024-01-01", "locator": "第1条"}
QILIN, MALONG, TOWN, TAIYUAN = "530302", "530303", "530302001", "140702"
BORN = {"hukou": QILIN, "age": 80, "residence": TOWN, "place": "home"}


def feed(kind: Kind, since: date = date(2026, 1, 1), until: date | None = None) -> FeedDeclared:
    return FeedDeclared(kind=kind, since=since, until=until)


def lists(condition: dict[str, Any], coverage: Coverage = NOTHING_DECLARED, **more: Any) -> Lists:
    version = {
        "valid_from": "2025-01-01",
        "status": "documented",
        "citation": CITATION,
        "conditions": condition,
        **more,
    }
    name = "visiting_care" if "tiers" in more else "scattered_support"
    item = {"item": name, "title": "试验服务", "kind": "service", "follows": "hukou", "versions": [version]}
    return Lists([from_event({"jurisdiction": "000000", "items": {name: item}})], coverage=coverage)


def spans(law: Lists, **known: Any) -> list[tuple[str, date, date | None, tuple[str, ...]]]:
    facts, abilities = life(BORN | known, date(2026, 6, 1))
    found = decide("p", facts, abilities, law).entitlements
    return [(e.state, e.from_, e.to, e.missing_facts) for e in found]


POOR = {"low_income_in": ["dibao"]}
ALL_YEAR = Coverage({QILIN: [feed("low_income", until=date(2027, 1, 1))]})


def test_outside_the_days_of_a_feed_absence_is_a_question() -> None:
    asked = ("low_income",)
    assert spans(lists(POOR, ALL_YEAR)) == [
        ("unknown", date(2025, 1, 1), date(2026, 1, 1), asked),
        ("unknown", date(2027, 1, 1), None, asked),
    ]


def test_a_known_fact_counts_with_and_without_a_feed_and_is_one_interval() -> None:
    assert spans(lists(POOR, ALL_YEAR), low_income=("dibao", None)) == [("granted", date(2025, 1, 1), None, ())]
    assert spans(lists(POOR, ALL_YEAR), low_income=("tekun", None)) == []


def test_where_nothing_was_ever_declared_absence_stays_a_no() -> None:
    assert spans(lists(POOR, Coverage({MALONG: []}))) == []
    assert spans(lists(POOR, Coverage({QILIN: []}))) == [("unknown", date(2025, 1, 1), None, ("low_income",))]


def test_the_meaning_of_absence_in_a_list_counts_before_any_feed() -> None:
    assert spans(lists(POOR | {"absent_means": "not_met"}, Coverage({QILIN: []}))) == []
    everywhere = Coverage({QILIN: [feed("low_income", date(2000, 1, 1))]})
    assert [s[0] for s in spans(lists(POOR | {"absent_means": "unknown"}, everywhere))] == ["unknown"]


@pytest.mark.parametrize(
    ("condition", "kind", "declared", "asks"),
    [
        (POOR, "low_income", QILIN, True),
        (POOR, "low_income", TAIYUAN, False),  # the residence does not report low income
        ({"living_tag": ["alone"]}, "living_situation", TAIYUAN, True),
        ({"living_tag": ["alone"]}, "living_situation", QILIN, False),
    ],
)
def test_a_kind_is_reported_where_it_is_administered(
    condition: dict[str, Any], kind: Kind, declared: str, asks: bool
) -> None:
    """Registered in Qilin, living in Taiyuan."""
    found = spans(lists(condition, Coverage({declared: []})), residence=TAIYUAN)
    assert bool(found) == asks
    assert spans(lists(condition, Coverage({declared: [feed(kind, date(2000, 1, 1))]})), residence=TAIYUAN) == []


def test_a_feed_of_the_city_covers_its_counties_and_a_feed_of_a_town_not_the_county() -> None:
    town, county = (Where((at, "530302", "530300", "000000")[n:], ("000000",)) for n, at in enumerate([TOWN, QILIN]))
    day = date(2026, 6, 1)
    assert [Coverage({"530300": [feed("low_income")]}).reports("low_income", w, day) for w in (town, county)] == [
        True
    ] * 2
    assert [Coverage({TOWN: [feed("low_income")]}).reports("low_income", w, day) for w in (town, county)] == [
        True,
        None,
    ]


def test_without_a_feed_of_merits_one_merit_is_no_answer_about_another() -> None:
    special = {"merit_in": ["special_contribution"]}
    veteran = frozenset({"veteran"})
    assert spans(lists(special), merits=veteran) == []
    assert [s[0] for s in spans(lists(special, Coverage({QILIN: []})), merits=veteran)] == ["unknown"]


def test_a_value_that_a_known_fact_leaves_out_counts_as_everywhere() -> None:
    """A person whose way of support is not stated counts as not met. Only a person without a fact is asked."""
    scattered = lists({"none_of": [{"support_in": ["concentrated"]}]}, Coverage({QILIN: []}))
    assert [s[0] for s in spans(scattered, low_income=("tekun", None))] == ["granted"]
    assert [s[0] for s in spans(scattered)] == ["unknown"]


def test_doubt_does_not_make_visits_rarer() -> None:
    near = {"tier": "A", "interval_days": 7, "mode": "any", "status": "example"}
    tiers = [near | {"conditions": {"none_of": [POOR]}}, near | {"tier": "B", "interval_days": 30}]
    law = lists({"any_of": [{"age_years_min": 60}, POOR]}, Coverage({QILIN: []}), tiers=tiers)
    facts, abilities = life(BORN, date(2026, 6, 1))
    (found,) = decide("p", facts, abilities, law).entitlements
    assert (found.state, found.tier) == ("granted", "A")


def test_a_change_of_one_feed_changes_its_kind_and_the_first_declaration_changes_every_kind() -> None:
    one, two = feed("low_income"), feed("disability")
    assert Coverage({QILIN: [one, two]}).kinds_changed(Coverage({QILIN: [one]})) == {"disability"}
    assert Coverage({QILIN: [one]}).kinds_changed(Coverage({QILIN: [one]})) == set()
    assert {"merit", "application", "disability"} <= NOTHING_DECLARED.kinds_changed(Coverage({QILIN: [one]}))


def reasons(law: Lists, on: date = date(2026, 6, 1), facts: list[Fact] | None = None) -> Explanation:
    facts = life(BORN, date(2026, 6, 1))[0] if facts is None else facts
    return explain(facts, (), law, "scattered_support", on)


def test_the_reasons_say_whether_absence_was_an_answer() -> None:
    told, untold = reasons(lists(POOR, ALL_YEAR)), reasons(lists(POOR, ALL_YEAR), date(2025, 6, 1))
    never = reasons(lists(POOR))
    assert (told.outcome, told.conditions[-1].absence) == ("refused", "told")
    assert "没有这方面的记录，当地逐项报送，即视为没有" in told.sentence
    assert (untold.outcome, untold.conditions[-1].absence) == ("unknown", "untold")
    assert "缺少困难认定（当地没有单位逐项报送困难认定，没有记录不等于没有）" in untold.sentence
    assert (never.outcome, never.conditions[-1].absence) == ("refused", None)
    assert "（没有这方面的记录）" in never.sentence


def test_a_missing_fact_whose_absence_is_never_an_answer_is_only_missing() -> None:
    found = reasons(lists({"ability_level_min": 2}, Coverage({QILIN: []})))
    assert (found.outcome, found.conditions[-1].absence) == ("unknown", None)
    assert "没有单位" not in found.sentence
