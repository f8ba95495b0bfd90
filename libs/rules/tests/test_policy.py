"""A policy file that cannot be read exactly is rejected with its place, and the seed is complete."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from common.codes import divisions
from common.events.facts import Registration
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.deciding.wording import condition_text
from rules.facts.timeline import Fact
from rules.form.policy import BESIDE_ITEMS, NATION, PolicyError, from_event, load_lists, policy_schema, to_event_dict

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
FILES = sorted(path for path in POLICY.glob("[0-9]*/*.yaml"))
GOOD = """
item: longevity_allowance
title: 高龄津贴
kind: cash
follows: hukou
versions:
  - valid_from: 2023-01-01
    status: documented
    citation: {title: 表, issuer: 局, date: 2023-05-17, locator: 第1行}
    conditions:
      all_of:
        - age_years_min: 80
        - hukou_in: ["530302"]
    amount:
      bands:
        - {age_years_min: 80, amount_fen: 5000}
        - {age_years_min: 90, amount_fen: 10000}
    pay: {start: next_month, stop: next_month, band_change: next_month, when: arrears, status: example}
"""


def _load(tmp_path: Path, text: str, name: str = "longevity_allowance") -> Any:
    folder = tmp_path / "530302"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_lists(tmp_path)


def test_a_good_file_loads(tmp_path: Path) -> None:
    item = _load(tmp_path, GOOD)["530302"].items["longevity_allowance"]
    assert [b.amount_fen for b in item.versions[0].amount.bands] == [5000, 10000]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("age_years_min: 80\n        - hukou", "age_years: 80\n        - hukou", "unknown field `age_years`"),
        ('["530302"]', "[530302]", "Expected `str`, got `int`"),
        ('hukou_in: ["530302"]', "hukou_in: []", "hukou_in is empty"),
        ('- hukou_in: ["530302"]', '  hukou_in: ["530302"]', "exactly one test, found age_years_min, hukou_in"),
        ("{age_years_min: 90, amount_fen: 10000}", "{age_years_min: 70, amount_fen: 1}", "rising"),
        ("    amount:\n", "    amount:\n      flat_fen: 1\n", "either flat_fen or bands or cases"),
        ("amount_fen: 5000", "amount_fen: 50.5", "Expected `int`, got `float`"),
        ("valid_from: 2023-01-01", "valid_from: 2023-02-30", "longevity_allowance.yaml"),
        ("    pay: {", "    pays: {", "unknown field `pays`"),
        ("kind: cash", "kind: service", "neither amount nor pay"),
        (
            "    pay: {start: next_month, stop: next_month, band_change: next_month, when: arrears, status: example}",
            "",
            "has amount and pay, or neither",
        ),
        ("    conditions:", "    standard: 由当地制定\n    conditions:", "belongs to a cash item without amount"),
        ("item: longevity_allowance", "item: dibao", "holds item dibao, so its name must be dibao.yaml"),
        ("item: longevity_allowance", "item: bonus", "no item code"),
        ("status: documented", "status: hearsay", "Invalid enum value 'hearsay'"),
        ("locator: 第1行", "locator: ''", "locator"),
        ("title: 高龄津贴", "title: [", "longevity_allowance.yaml"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(tmp_path: Path, before: str, after: str, fault: str) -> None:
    assert before in GOOD
    with pytest.raises(PolicyError) as refused:
        _load(tmp_path, GOOD.replace(before, after))
    assert "longevity_allowance" in str(refused.value)
    assert fault in str(refused.value)


def test_versions_that_overlap_are_refused(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("  - valid_from") :].replace("2023-01-01", "2024-01-01")
    with pytest.raises(PolicyError, match="overlaps"):
        _load(tmp_path, GOOD + second.lstrip("\n"))
    first = GOOD.replace("valid_from: 2023-01-01", "valid_from: 2023-01-01\n    valid_to: 2024-01-01")
    assert len(_load(tmp_path, first + second)["530302"].items["longevity_allowance"].versions) == 2


def test_visits_come_in_tiers_the_last_of_which_takes_everybody(tmp_path: Path) -> None:
    text = (POLICY / NATION / "visiting_care.yaml").read_text(encoding="utf-8")
    assert _load(tmp_path, text, "visiting_care")
    with pytest.raises(PolicyError, match="last"):
        _load(tmp_path, text[: text.index("      - tier: C")], "visiting_care")
    with pytest.raises(PolicyError, match="tiers belong to visiting_care"):
        _load(tmp_path, text[: text.index("    tiers:")], "visiting_care")
    with pytest.raises(PolicyError, match="<= 31"):
        _load(tmp_path, text.replace("interval_days: 31", "interval_days: 92"), "visiting_care")


def test_a_published_list_carries_the_same_law_as_the_files() -> None:
    for one in load_lists(POLICY).values():
        sent = json.loads(json.dumps(to_event_dict(one)))
        assert from_event(sent) == one


@pytest.mark.parametrize(
    "list_", [{}, {"jurisdiction": "53"}, {"jurisdiction": "530302", "items": {"dibao": {}}}, {"x": 1}]
)
def test_a_published_list_that_is_none_is_refused(list_: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        from_event(list_)


def test_the_committed_schema_is_the_one_the_code_means() -> None:
    committed = json.loads((POLICY / "schema.json").read_text(encoding="utf-8"))
    assert committed == policy_schema()


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_seed_files_fit_the_schema_and_known_areas(path: Path) -> None:
    assert divisions.known(path.parent.name)
    plain = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
    schema = jsonschema_rs.validator_for(policy_schema())
    schema.validate(plain)
    if path.stem in BESIDE_ITEMS:
        plain[0]["mode"] = "hearsay"
        assert not schema.is_valid(plain)
        return
    condition = plain["versions"][0]["conditions"]
    condition["age_years_max"], condition["age_years_min"] = 1, 1
    assert not schema.is_valid(plain)


def test_every_condition_of_the_seed_has_a_chinese_sentence() -> None:
    for one in load_lists(POLICY).values():
        for item in one.items.values():
            for version in item.versions:
                for condition in (version.conditions, *(t.conditions for t in version.tiers if t.conditions)):
                    text = condition_text(condition)
                    assert text
                    assert not any("a" <= letter <= "z" for letter in text), text


# The provincial table of 2023: yuan per month at 80, 90 and 100.
TABLE = {
    "530302": (50, 100, 500),
    "530303": (50, 50, 300),
    "530304": (50, 50, 300),
    "530381": (50, 50, 300),
    "530322": (50, 50, 300),
    "530323": (50, 50, 300),
    "530324": (50, 50, 500),
    "530325": (50, 60, 300),
    "530326": (50, 50, 300),
    "530371": (50, 100, 300),
}


@pytest.mark.parametrize("county", sorted(TABLE))
def test_the_ten_payers_of_qujing_pay_the_amounts_of_the_table(county: str) -> None:
    lists = Lists(load_lists(POLICY).values())
    for years, yuan in zip((80, 90, 100), TABLE[county], strict=True):
        birth = date(2024 - years, 3, 5)
        value = Registration(sex="1", birth_date=birth, hukou_division=county, hukou_kind="rural")
        facts = [Fact("registration", value, None, None, "reg", "s", 1)]
        found = [
            e
            for e in decide("p", facts, [], lists).entitlements
            if e.item == "longevity_allowance" and e.from_ <= date(2024, 3, 5) < (e.to or date.max)
        ]
        assert [e.amount_fen_per_month for e in found] == [yuan * 100]
        assert found[0].policy_status == "documented"
