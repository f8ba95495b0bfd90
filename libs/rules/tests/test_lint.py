"""Every fault of a list is found, with its code and its place; the lists in force have none."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from rules.form.bounds import NARROWINGS, Narrowing
from rules.form.policy import PolicyList, from_event, load_lists, to_event_dict
from rules.proof.lint import CODES, Finding, items_told, lint

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
SEED = load_lists(POLICY)
CITY, COUNTY = "530300", "530302"
Plain = dict[str, Any]


def found(change: Callable[[Plain], object], area: str = CITY, told: set[str] | None = None) -> list[Finding]:
    plain = copy.deepcopy(to_event_dict(SEED[area]))
    change(plain)
    return lint({**SEED, area: from_event(plain)}, areas=[area], told=told)


def version(plain: Plain, item: str) -> Plain:
    first: Plain = plain["items"][item]["versions"][0]
    return first


def put(path: str, value: Any) -> Callable[[Plain], None]:
    """`path` as a JSON pointer, `-` appends."""

    def change(plain: Plain) -> None:
        *steps, last = path.removeprefix("/").split("/")
        at: Any = plain
        for step in steps:
            at = at[int(step) if isinstance(at, list) else step]
        if last == "-":
            at.append(value)
        else:
            at[int(last) if isinstance(at, list) else last] = value

    return change


ALLOWANCE = "/items/longevity_allowance/versions/0"
CARE = "/items/nursing_subsidy/versions/0"
VISITS = "/items/visiting_care/versions/0"
LAST_DAY = "/items/home_adaptation/versions/0/valid_to"
CITATION = {"title": "t", "issuer": "i", "date": "2023-01-16", "locator": "l"}
FROM_2030 = {"valid_from": "2030-01-01", "status": "example", "citation": CITATION}


def test_the_lists_of_the_repository_are_clean() -> None:
    stories = [s for path in (POLICY / "cases").glob("*.yaml") for s in yaml.safe_load(path.read_text())]
    assert lint(SEED, told=items_told(stories)) == []


@pytest.mark.parametrize(
    ("code", "area", "change", "pointer"),
    [
        ("citation_missing", CITY, put(f"{CARE}/amount/status", "documented"), f"{CARE}/amount/citation"),
        ("citation_missing", CITY, put(f"{CARE}/pay/status", "documented"), f"{CARE}/pay/citation"),
        (
            "citation_missing",
            CITY,
            lambda p: (put(f"{VISITS}/status", "example")(p), put(f"{VISITS}/tiers/1/status", "documented")(p)),
            f"{VISITS}/tiers/1/status",
        ),
        (
            "version_gap",
            CITY,
            lambda p: (
                put(f"{CARE}/valid_to", "2029-12-31")(p),
                put("/items/nursing_subsidy/versions/-", {**version(p, "nursing_subsidy"), **FROM_2030})(p),
                p["items"]["nursing_subsidy"]["versions"][1].pop("valid_to"),
            ),
            "/items/nursing_subsidy/versions/1/valid_from",
        ),
        ("version_ends", COUNTY, put(f"{ALLOWANCE}/valid_to", "2030-01-01"), f"{ALLOWANCE}/valid_to"),
        ("version_ends", "140900", put("/items/home_adaptation/versions/0/valid_to", "2023-05-20"), LAST_DAY),
        ("period_empty", CITY, put(f"{CARE}/valid_to", "2000-01-01"), f"{CARE}/valid_to"),
        ("period_empty", CITY, put("/floors/0/valid_to", "2000-01-01"), "/floors/0/valid_to"),
        ("period_empty", "000000", put("/exclusions/2/valid_to", "2000-01-01"), "/exclusions/2/valid_to"),
        ("age_range_empty", CITY, put(f"{CARE}/conditions/all_of/-", {"age_years_max": 59}), f"{CARE}/conditions"),
        ("never_holds", CITY, put(f"{CARE}/conditions/all_of/-", {"age_years_max": 59}), f"{CARE}/conditions"),
        (
            "never_holds",
            CITY,
            put(f"{CARE}/conditions/all_of/-", {"hukou_in": ["140700"]}),  # nobody there has this list
            f"{CARE}/conditions",
        ),
        ("always_holds", CITY, put(f"{VISITS}/conditions", {"age_years_min": 0}), f"{VISITS}/conditions"),
        (
            "branch_never_counts",
            CITY,
            put(f"{VISITS}/conditions/all_of/1/any_of/-", {"age_years_max": 59}),
            f"{VISITS}/conditions/all_of/1/any_of/5",
        ),
        (
            "tier_unreachable",
            CITY,
            put(f"{VISITS}/tiers/1/conditions", {"disability": {"levels": [1]}}),
            f"{VISITS}/tiers/1",
        ),
        ("tier_order", CITY, put(f"{VISITS}/tiers/1/interval_days", 5), f"{VISITS}/tiers/1/interval_days"),
        ("reverify_missing", CITY, put(f"{VISITS}/reverify", None), f"{VISITS}/reverify"),
        (
            "citation_missing",
            CITY,
            put(f"{VISITS}/reverify/status", "documented"),
            f"{VISITS}/reverify/citation",
        ),
        ("band_unreachable", CITY, put(f"{CARE}/conditions/all_of/2/ability_level_min", 3), f"{CARE}/amount/bands/0"),
        ("amount_gap", CITY, put(f"{CARE}/conditions/all_of/2/ability_level_min", 1), f"{CARE}/amount"),
        (
            "amount_falls",
            COUNTY,
            put(f"{ALLOWANCE}/amount/bands/1/amount_fen", 4000),
            f"{ALLOWANCE}/amount/bands/1/amount_fen",
        ),
        ("division_unknown", CITY, put(f"{CARE}/conditions/all_of/-", {"hukou_in": ["539999"]}), f"{CARE}/conditions"),
        ("item_unknown", CITY, put("/floors/0/item", "bonus"), "/floors/0/item"),
        ("item_unknown", CITY, put("/deviations/0/item", "999999.bonus"), "/deviations/0/item"),
        (
            "exclusion_unoffered",
            "000000",
            put("/exclusions/2/items/0", "care_voucher"),
            "/exclusions/2/items/0",
        ),
    ],
)
def test_a_fault_is_found_with_its_place(code: str, area: str, change: Callable[[Plain], object], pointer: str) -> None:
    faults = found(change, area)
    assert (code, pointer) in {(f.code, f.pointer) for f in faults}, faults
    assert all(f.severity == CODES[f.code][0] for f in faults)


def blocks(*pairs: tuple[str, str], until: str | None = None) -> Callable[[Plain], None]:
    """Append a block per pair (item, by). `until`: the last block ends on that day, when the first one begins."""

    def change(plain: Plain) -> None:
        rules = [{"mode": "block", "items": [item], "by": [by], **FROM_2030} for item, by in pairs]
        if until is not None:
            rules[0] |= {"valid_from": until}
            rules[-1] |= {"valid_to": until}
        plain.setdefault("exclusions", []).extend(rules)

    return change


RING = (("home_adaptation", "health_management"), ("health_management", "visiting_care"))


def test_items_that_block_each_other_in_a_ring_are_refused() -> None:
    first = len(SEED[COUNTY].exclusions)
    faults = found(blocks(*RING, ("visiting_care", "home_adaptation"), ("care_voucher", "visiting_care")), COUNTY)
    ring = {(f.severity, f.pointer) for f in faults if f.code == "block_cycle"}
    assert ring == {("error", f"/exclusions/{first + i}") for i in range(3)}


@pytest.mark.parametrize("more", [(), (("home_adaptation", "visiting_care"),)])
def test_blocks_without_a_ring_are_permitted(more: tuple[tuple[str, str], ...]) -> None:
    assert "block_cycle" not in {f.code for f in found(blocks(*RING, *more), COUNTY)}


def test_a_ring_that_is_never_in_force_on_one_day_is_permitted() -> None:
    ring = blocks(*RING, ("visiting_care", "home_adaptation"), until="2031-01-01")
    assert "block_cycle" not in {f.code for f in found(ring, COUNTY)}


def test_a_band_of_the_highest_amount_first_leaves_the_others_to_nobody() -> None:
    cases = [{"conditions": {"age_years_min": least}, "amount_fen": fen} for least, fen in ((60, 10000), (80, 20000))]
    faults = found(put(f"{CARE}/amount", {"status": "example", "cases": cases}))
    assert [(f.code, f.pointer) for f in faults] == [("band_unreachable", f"{CARE}/amount/cases/1")]
    cases.reverse()
    assert found(put(f"{CARE}/amount", {"status": "example", "cases": cases})) == []


ABLE = {"none_of": [{"ability_level_min": 2}]}
UNABLE = {"ability_level_min": 2}


@pytest.mark.parametrize(
    ("second", "faults"),
    [
        (ABLE, []),
        ({"age_years_min": 60}, []),
        ({"all_of": [UNABLE, {"age_years_min": 70}]}, ["amount_gap", "band_unreachable"]),
        ({"any_of": [UNABLE, ABLE]}, []),
    ],
)
def test_an_unknown_level_gives_no_gap_because_its_amount_waits(second: Plain, faults: list[str]) -> None:
    def change(plain: Plain) -> None:
        cases = [{"conditions": each, "amount_fen": 10000} for each in (UNABLE, second)]
        put(f"{CARE}/conditions/all_of/2", {"age_years_max": 120})(plain)
        put(f"{CARE}/amount", {"status": "example", "cases": cases})(plain)

    assert sorted(f.code for f in found(change)) == faults


def test_a_case_that_only_unknown_levels_pass_by_is_never_reached() -> None:
    def change(plain: Plain) -> None:
        each = ({"any_of": [UNABLE, ABLE]}, {"age_years_min": 60})
        cases = [{"conditions": one, "amount_fen": 10000} for one in each]
        put(f"{CARE}/conditions/all_of/2", {"age_years_max": 120})(plain)
        put(f"{CARE}/amount", {"status": "example", "cases": cases})(plain)

    assert [(f.code, f.pointer) for f in found(change)] == [("band_unreachable", f"{CARE}/amount/cases/1")]


@pytest.mark.parametrize(("least", "most", "met"), [(60, 60, True), (61, 60, False)])
def test_an_age_range_of_one_year_is_no_empty_one(least: int, most: int, met: bool) -> None:
    conditions = {"all_of": [{"age_years_min": least}, {"age_years_max": most}]}
    faults = {f.code for f in found(put(f"{VISITS}/conditions", conditions))}
    assert ("never_holds" not in faults) is met
    assert ("age_range_empty" not in faults) is met


def test_versions_that_adjoin_leave_no_gap() -> None:
    def change(plain: Plain) -> None:
        before = version(plain, "nursing_subsidy")
        plain["items"]["nursing_subsidy"]["versions"].append({**copy.deepcopy(before), **FROM_2030})
        before["valid_to"] = "2030-01-01"

    assert found(change) == []


def test_conditions_with_too_many_cases_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.proof.lint_conditions.CASES_MAX", 10)
    assert "too_many_cases" in {f.code for f in found(lambda _: None)}


def test_an_item_without_a_story_is_an_error_and_the_place_names_its_file() -> None:
    (missing,) = found(lambda _: None, told=SEED[CITY].items.keys() - {"care_service_subsidy"})
    assert (missing.code, missing.severity) == ("story_missing", "error")
    assert missing.place == "530300/care_service_subsidy.yaml"
    assert items_told([{"then": [{"none": ["dibao"], "expect": {"merit_support": []}}]}]) == {"dibao", "merit_support"}


def test_only_the_lists_asked_about_are_linted() -> None:
    plain = to_event_dict(SEED[CITY])
    plain["floors"][0]["item"] = "bonus"
    lists: dict[str, PolicyList] = {**SEED, CITY: from_event(plain)}
    assert lint(lists, areas=[COUNTY]) == []
    assert lint(lists) != []


def test_every_code_is_published() -> None:
    published = (POLICY / "README.md").read_text(encoding="utf-8")
    assert all(
        f"`{code}` | {'错误' if weight == 'error' else '提醒'} | {says}" in published
        for code, (weight, says) in CODES.items()
    )
    assert all(f"`{code}` | {says}" in published for code, says in NARROWINGS.items())
    assert {*NARROWINGS} == {*get_args(Narrowing)}
