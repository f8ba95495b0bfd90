"""The changes between two lists are complete: without a reported change the decisions are equal."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from random_lives import AREAS, Chance
from rules.deciding.lists import Lists
from rules.form.policy import PolicyList, load_list
from rules.words.list_changes import first_day_changed, list_changes

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
_FROM_TO: Final = re.compile(r"由“?(.*?)”?改为“?(.*?)”?$")
_DAY: Final = re.compile(r"(\d{4})(-\d\d-\d\d)")


def lists_of(law: dict[str, dict[str, Any]]) -> dict[str, PolicyList]:
    return {area: msgspec.convert({"jurisdiction": area, **one}, PolicyList) for area, one in law.items()}


@pytest.mark.parametrize("seed", range(20))
def test_before_the_first_day_that_is_changed_both_lists_decide_alike(seed: int) -> None:
    chance = Chance(seed)
    law, other = lists_of(chance.law()), lists_of(chance.law())
    area = chance.rng.choice(AREAS)
    changed = {**law, area: other[area]}
    first = first_day_changed(law[area], changed[area])
    assert first is not None
    sides = [Lists(one.values()) for one in (law, changed)]
    for hukou in ("530302", "140702", None):
        plans = [[_versions(s, first) for s in side.plan(side.area(hukou) if hukou else None, None)] for side in sides]
        assert _merged(plans[0]) == _merged(plans[1])


def _versions(segment: Any, until: date) -> tuple[date, Any] | None:
    """The versions of a segment, if it begins before a day."""
    if segment.start >= until:
        return None
    return segment.start, [(a.version.conditions, a.version.amount, a.jurisdiction) for a in segment.applicable]


def _merged(plan: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for versions in filter(None, plan):
        if not (merged and merged[-1][1] == versions[1]) and versions[1]:
            merged.append(versions)
    return merged


@pytest.mark.parametrize("area", sorted(path.name for path in POLICY.iterdir() if path.name.isdigit()))
def test_no_value_of_a_list_is_changed_unnoticed(area: str) -> None:
    """Every value of every list of the repository, one after the other. The text tells the old from the new."""
    one = load_list(POLICY / area)
    plain = msgspec.json.decode(msgspec.json.encode(one))
    for other in _spoilt(plain):
        try:
            changed = msgspec.convert(other, PolicyList)
        except msgspec.ValidationError:
            continue  # no list any more
        told = list_changes(one, changed)
        assert changed == one or told
        assert not [c.text for c in told if (same := _FROM_TO.search(c.text)) and same[1] == same[2]]


def _spoilt(value: Any) -> Iterator[Any]:
    """Copies with one other value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: spoilt} for spoilt in _spoilt(inner))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from ([*value[:n], spoilt, *value[n + 1 :]] for spoilt in _spoilt(inner))
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield (
            _DAY.sub(lambda m: f"{int(m.group(1)) + 40}{m.group(2)}", value) if _DAY.fullmatch(value) else value + "改"
        )
        yield "example"


@pytest.mark.parametrize("seed", range(20))
def test_a_list_changes_nothing_against_itself(seed: int) -> None:
    one = lists_of(Chance(seed).law())["000000"]
    assert list_changes(one, one) == []
    assert first_day_changed(one, one) is None


def test_a_new_item_and_a_removed_one_are_reported_with_their_first_day() -> None:
    one = lists_of(Chance(1).law())["000000"]
    empty = PolicyList(jurisdiction="000000")
    for before, after, verb in ((empty, one, "新增"), (one, empty, "取消")):
        told = list_changes(before, after)
        assert {c.item for c in told if c.item} == set(one.items)
        assert all(c.text.startswith(verb) for c in told)
        days = [v.valid_from for item in one.items.values() for v in item.versions]
        assert first_day_changed(before, after) == min([*days, *(rule.valid_from for rule in one.exclusions)])


def test_a_rule_about_a_benefit_of_another_office_names_the_benefit() -> None:
    citation = {"title": "清单", "issuer": "民政局", "date": "2024-01-01", "locator": "第1条"}
    rule = {"valid_from": "2024-01-01", "status": "documented", "citation": citation, "items": ["nursing_subsidy"]}
    rules = [rule | {"mode": mode, "elsewhere": ["work_injury_care"]} for mode in ("block", "higher_of")]
    texts = []
    for one in rules:
        before = PolicyList(jurisdiction="530302")
        after = msgspec.convert({"jurisdiction": "530302", "exclusions": [one]}, PolicyList)
        texts += [change.text for change in list_changes(before, after)]
    assert texts == [
        "新增项目之间的规则：有工伤保险生活护理费的不享受护理补贴，自2024-01-01起",
        "新增项目之间的规则：护理补贴、工伤保险生活护理费就高享受其一，自2024-01-01起",
    ]


def test_a_new_order_of_the_rules_counts_from_their_first_day_although_a_later_rule_is_added() -> None:
    citation = {"title": "清单", "issuer": "民政局", "date": "2024-01-01", "locator": "第1条"}
    common = {"status": "documented", "citation": citation, "mode": "higher_of"}
    first = common | {"valid_from": "2024-01-01", "items": ["nursing_subsidy", "care_voucher"]}
    second = common | {"valid_from": "2024-06-01", "items": ["longevity_allowance", "home_adaptation"]}
    later = common | {"valid_from": "2027-01-01", "items": ["health_management", "family_care_support"]}
    before, after = (
        msgspec.convert({"jurisdiction": "530302", "exclusions": rules}, PolicyList)
        for rules in ([first, second], [second, first, later])
    )
    assert first_day_changed(before, after) == date(2024, 1, 1)
