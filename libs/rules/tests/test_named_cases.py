"""The cases of the domain notes, each by its name: assessment (1.3), amounts and exclusions (3), payment (8.2).

The ID numbers of 5.1 are in `libs/common/tests/test_id_number.py`, each number in the name of its test. Payment runs
from statements to facts, entitlements and the money owed per month. An overpayment is the money owed before less the
money owed after.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from common.events.ability import Ability
from common.events.facts import Death, Disability, LowIncome, Registration, SpecialFamily, Statement, Value
from common.words_zh import ITEMS
from rules.deciding.choices import Choice
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.timeline import facts_known_at
from rules.form.policy import PolicyList, load_lists
from rules.money.due import due
from rules.scales.ability_scale import Findings, RiskEvent, Scored, assess, load_scale
from shell.settings import repository_root
from slow_oracle import read_law
from stories import POLICY

LISTS = Lists(load_lists(POLICY).values())

# --- 1.3 assessment ---------------------------------------------------------------------------------

SCALE = load_scale(repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml")
ASSESSED_ON = date(2026, 11, 22)
LEVELS = ("能力完好", "轻度失能", "中度失能", "重度失能", "完全失能")
# raw total, diagnoses, days before the assessment of falls, coma → level
ASSESSMENTS: list[tuple[int, tuple[str, ...], tuple[int, ...], bool, str]] = [
    (90, (), (), False, "能力完好"),
    (90, ("F00",), (), False, "轻度失能"),
    (89, (), (), False, "轻度失能"),
    (66, (), (), False, "轻度失能"),
    (65, (), (), False, "中度失能"),
    (46, (), (3, 12), False, "重度失能"),
    (46, ("F03",), (3, 12), False, "重度失能"),
    (30, ("F32",), (), False, "完全失能"),
    (29, ("F03",), (), False, "完全失能"),
    (88, (), (), True, "完全失能"),
    (80, (), (31, 5), False, "轻度失能"),
]


def form(total: int) -> dict[str, int]:
    items = {}
    for code, item in SCALE.items.items():
        items[code] = min(item.max, total)
        total -= items[code]
    return items


@pytest.mark.parametrize(
    ("total", "diagnoses", "days_ago", "coma", "level"),
    [
        pytest.param(
            *case, id=f"raw_total {case[0]} {' '.join(case[1])} falls {case[2]} coma {case[3]} gives {case[4]}"
        )
        for case in ASSESSMENTS
    ],
)
def test_case_of_the_assessment(
    total: int, diagnoses: tuple[str, ...], days_ago: tuple[int, ...], coma: bool, level: str
) -> None:
    events = tuple(RiskEvent("fall", ASSESSED_ON - timedelta(days=n)) for n in days_ago)
    scored = assess(form(total), Findings(ASSESSED_ON, coma, diagnoses, events), SCALE)
    assert isinstance(scored, Scored)
    assert LEVELS[scored.level] == level


def test_case_of_the_assessment_items_B2_4_is_4_is_rejected() -> None:
    assert [f.pointer for f in assess(form(90) | {"B2.4": 4}, Findings(ASSESSED_ON), SCALE)] == ["/items/B2.4"]


# --- 3 lists, amounts, exclusions -------------------------------------------------------------------


def test_every_item_of_the_national_list_of_16_has_its_code() -> None:
    """The eleventh and the thirteenth are both 集中供养; the fifteenth is two allowances."""
    named = "职工基本养老保险 城乡居民基本养老保险 老年人能力综合评估 高龄津贴 养老服务补贴 家庭适老化改造 护理补贴 "
    named += "家庭养老支持服务 最低生活保障 分散供养 集中供养 探访服务 特殊贡献集中供养 优先享受机构养老 "
    named += "困难残疾人生活补贴 重度残疾人护理补贴 社会救助"
    assert set(named.split()) <= set(ITEMS.values())


def test_every_item_of_the_national_list_of_16_is_in_the_national_list() -> None:
    lines = {item: i.versions[-1].listed for item, i in load_lists(POLICY)["000000"].items.items()}
    assert all(line and line.number for line in lines.values())
    assert sorted(line.number or 0 for line in lines.values() if line) == sorted([*range(1, 17), 15])


def elder(years: int, hukou: str, *values: Value, on: date = date(2026, 6, 15)) -> list[Statement]:
    """A person of that age on that day; all statements are of 1 June 2026."""
    born = Registration(sex="2", birth_date=on.replace(year=on.year - years), hukou_division=hukou, hukou_kind="urban")
    return [said(type(v).__name__, v, date(2026, 6, 1)) for v in values] + [said("born", born)]


def said(
    event_id: str,
    value: Value | None,
    since: date | None = None,
    *,
    chain: str | None = None,
    action: str = "created",
    kind: str | None = None,
    received: date = date(2024, 1, 1),
) -> Statement:
    at = datetime(received.year, received.month, received.day, tzinfo=UTC)
    return Statement(
        event_id=event_id,
        chain=chain or event_id,
        action=action,  # type: ignore[arg-type]
        kind=kind or msgspec.to_builtins(value)["of"],
        source="urn:cn:exchange:test",
        rank=1,
        time=at,
        recorded_at=at,
        valid_from=since,
        value=value,
    )


def on_day(
    statements: Sequence[Statement], day: date, level: int | None = None, choices: Sequence[Choice] = ()
) -> dict[str, tuple[str, Any]]:
    """Item → (state, yuan per month)."""
    result = Ability(
        assessment_id="a",
        scale="GB/T 42195",
        scale_version="2022",
        level=level or 0,
        valid_from=date(2026, 6, 1),
        recorded_at=datetime(2026, 6, 1, tzinfo=UTC),
    )
    decided = decide("p", facts_known_at(statements), [result] if level else [], LISTS, choices=choices).entitlements
    return {
        e.item: (e.state, e.amount_fen_per_month and e.amount_fen_per_month // 100)
        for e in decided
        if e.from_ <= day and (e.to is None or day < e.to)
    }


DAY = date(2026, 6, 15)
DIBAO, BIANYUAN = LowIncome(category="dibao"), LowIncome(category="bianyuan")
NO_CHILD = SpecialFamily(only_child="dead")
CARE, NURSING = "care_service_subsidy", "nursing_subsidy"
LIVING, SEVERE = "disability_living_subsidy", "severe_disability_nursing_subsidy"


@pytest.mark.parametrize(
    ("years", "yuan"),
    [
        pytest.param(*case, id=f"高龄老年人津贴 {case[0]}岁 {case[1]}元")
        for case in [(79, None), (80, 100), (89, 100), (90, 500), (99, 500), (100, 800)]
    ],
)
def test_case_beijing_2019_longevity(years: int, yuan: int | None) -> None:
    got = on_day(elder(years, "110108"), DAY).get("longevity_allowance")
    assert got == (("granted", yuan) if yuan else None)


@pytest.mark.parametrize(
    ("values", "yuan"),
    [
        pytest.param((DIBAO,), 300, id="困难老年人养老服务补贴 低保 300元"),
        pytest.param((BIANYUAN,), 200, id="困难老年人养老服务补贴 低收入家庭未享低保 200元"),
        pytest.param((NO_CHILD,), 100, id="困难老年人养老服务补贴 计划生育特殊家庭 100元"),
        pytest.param((NO_CHILD, BIANYUAN), 200, id="困难老年人养老服务补贴 符合前两项的不按计划生育特殊家庭"),
        pytest.param((), None, id="困难老年人养老服务补贴 不困难的没有"),
    ],
)
def test_case_beijing_2019_care(values: tuple[Value, ...], yuan: int | None) -> None:
    assert on_day(elder(60, "110108", *values), DAY).get(CARE) == (("granted", yuan) if yuan else None)


def test_case_qujing_seed_rule_care_for_dibao_and_scattered_support_from_80() -> None:
    scattered, placed = (LowIncome(category="tekun", support=s) for s in ("scattered", "concentrated"))  # type: ignore[arg-type]
    for values, given in (((DIBAO,), True), ((scattered,), True), ((placed,), False), ((BIANYUAN,), False)):
        assert (CARE in on_day(elder(80, "530302", *values), DAY)) == given
        assert CARE not in on_day(elder(79, "530302", *values), DAY)


def test_case_linkou_categories_by_age_and_poverty_can_be_written_as_a_list() -> None:
    """CAT1 80–89 poor, CAT2 80–89 others, CAT3 90–99, CAT4 100+, from 2024-10-01."""
    from_80 = {"age_years_min": 80}
    poor = {"low_income_in": ["dibao", "bianyuan", "tekun"]}
    file = read_law(POLICY)["530302"]["items"]["longevity_allowance"]
    version = file["versions"][0] | {"valid_from": date(2024, 10, 1), "conditions": from_80}
    version["amount"] = {
        "cases": [
            {"conditions": {"age_years_min": 100}, "amount_fen": 400},
            {"conditions": {"age_years_min": 90}, "amount_fen": 300},
            {"conditions": poor, "amount_fen": 100},
            {"conditions": from_80, "amount_fen": 200},
        ]
    }
    items = {"longevity_allowance": file | {"versions": [version]}}
    linkou = Lists([msgspec.convert({"jurisdiction": "530302", "items": items}, PolicyList)])
    for years, values, fen in ((80, (DIBAO,), 100), (89, (), 200), (95, (DIBAO,), 300), (100, (), 400)):
        statements = elder(years, "530302", *values)
        (one,) = [
            e
            for e in decide("p", facts_known_at(statements), [], linkou).entitlements
            if e.from_ <= DAY < (e.to or date.max)
        ]
        assert one.amount_fen_per_month == fen
        assert one.from_ >= date(2024, 10, 1)


WORST = Disability(class_=1, level=1)


def chose(item: str) -> Choice:
    return Choice(choice_id="c", item=item, chosen_on=DAY, recorded_at=datetime(2026, 6, 15, tzinfo=UTC))


@pytest.mark.parametrize(("a", "b"), [(CARE, LIVING), (LIVING, CARE)])
def test_case_exclusion_困难老年人养老服务补贴_困难残疾人生活补贴_choice(a: str, b: str) -> None:
    statements = elder(65, "110108", DIBAO, Disability(class_=7, level=3))
    asked = on_day(statements, DAY)
    assert (asked[a][0], asked[b][0]) == ("choice_required", "choice_required")
    chosen = on_day(statements, DAY, choices=[chose(a)])
    assert (chosen[a][0], chosen[b][0]) == ("granted", "suppressed")


@pytest.mark.parametrize(("a", "b"), [(NURSING, SEVERE), (SEVERE, NURSING)])
def test_case_exclusion_失能老年人护理补贴_重度残疾人护理补贴_choice(a: str, b: str) -> None:
    statements = elder(65, "110108", WORST)
    assert {on_day(statements, DAY)[item][0] for item in (a, b)} == {"choice_required"}
    chosen = on_day(statements, DAY, choices=[chose(a)])
    assert (chosen[a][0], chosen[b][0]) == ("granted", "suppressed")


def test_case_exclusion_特困人员供养_blocks_both_of_beijing_and_both_of_the_nation() -> None:
    tekun = LowIncome(category="tekun", support="scattered")
    beijing = on_day(elder(65, "110108", tekun, NO_CHILD), DAY, level=3)
    assert (beijing[CARE], beijing[NURSING]) == (("suppressed", 100), ("suppressed", 600))
    nation = on_day(elder(65, "140702", tekun, WORST), DAY)
    assert (nation[LIVING][0], nation[SEVERE][0]) == ("suppressed", "suppressed")


def test_case_exclusion_重度残疾人护理补贴_困难残疾人生活补贴_compatible() -> None:
    got = on_day(elder(65, "140702", DIBAO, WORST), DAY)
    assert (got[LIVING][0], got[SEVERE][0]) == ("granted", "granted")


def test_case_exclusion_高龄津贴_any_compatible() -> None:
    got = on_day(elder(85, "530302", DIBAO, WORST), DAY, level=3)
    assert got["longevity_allowance"] == ("granted", 50)


def test_case_exclusion_national_择高_compares_like_with_like() -> None:
    """Care against care and living against living: 200 beats 90, 80 beats 50; both winners stay."""
    got = on_day(elder(85, "530302", DIBAO, WORST), DAY, level=3)
    assert (got[NURSING], got[SEVERE]) == (("granted", 200), ("suppressed", 90))
    assert (got[LIVING], got[CARE]) == (("granted", 80), ("suppressed", 50))


# --- 8.2 payment ------------------------------------------------------------------------------------


def lists(**terms: str) -> Lists:
    """The list of 530302 (50 from 80, 100 from 90) since 2020 and without any other; `terms`: other pay rules."""
    file = read_law(POLICY)["530302"]["items"]["longevity_allowance"]
    version = file["versions"][0] | {"valid_from": date(2020, 1, 1)}
    version["pay"] = version["pay"] | terms
    other = read_law(POLICY)["530303"]["items"]["longevity_allowance"]
    return Lists(
        msgspec.convert({"jurisdiction": area, "items": {"longevity_allowance": item}}, PolicyList)
        for area, item in (("530302", file | {"versions": [version]}), ("530303", other))
    )


def owed(statements: Sequence[Statement], law: Lists, through: date) -> dict[str, tuple[int, str, str]]:
    """Service month → (yuan, state, area)."""
    decision = decide("p", facts_known_at(statements), [], law)
    lines = due(decision.entitlements, through_month=through, died_on=decision.died_on, demo=False)
    assert len({(line.jurisdiction, line.service_month) for line in lines}) == len(lines)
    return {f"{d.service_month:%Y-%m}": (d.amount_fen // 100, d.state, d.jurisdiction) for d in lines}


def born(birth: date, hukou: str = "530302", since: date | None = None, **more: Any) -> Statement:
    value = Registration(sex="1", birth_date=birth, hukou_division=hukou, hukou_kind="rural")
    return said(more.pop("event_id", "born"), value, since, **more)


def died(on: date, received: date) -> Statement:
    return said("death", Death(evidence="register_cancelled"), on, received=received)


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        pytest.param("next_month", "2025-07", id="birth 1945-06-15 rule 次月 first_paid_month 2025-07"),
        pytest.param("same_month", "2025-06", id="birth 1945-06-15 rule 当月 first_paid_month 2025-06"),
    ],
)
def test_case_first_paid_month(rule: str, first: str) -> None:
    assert min(owed([born(date(1945, 6, 15))], lists(start=rule), date(2025, 12, 1))) == first


def test_case_birth_1944_02_29_is_80_on_2024_02_29_and_81_on_2025_03_01() -> None:
    (first, *_) = decide("p", facts_known_at([born(date(1944, 2, 29))]), [], lists()).entitlements
    assert first.from_ == date(2024, 2, 29)
    assert min(owed([born(date(1944, 2, 29))], lists(), date(2024, 12, 1))) == "2024-03"
    file = read_law(POLICY)["530302"]["items"]["longevity_allowance"]
    at_81 = file["versions"][0] | {"conditions": {"age_years_min": 81}, "amount": {"flat_fen": 1}}
    law = Lists(
        [msgspec.convert({"jurisdiction": "530302", "items": {file["item"]: file | {"versions": [at_81]}}}, PolicyList)]
    )
    assert decide("p", facts_known_at([born(date(1944, 2, 29))]), [], law).entitlements[0].from_ == date(2025, 3, 1)


def test_case_death_2025_03_31_received_2025_06_08_recover_2025_04_and_2025_05() -> None:
    life, gone = born(date(1940, 1, 10)), died(date(2025, 3, 31), received=date(2025, 6, 8))
    paid = owed([life], lists(), date(2025, 5, 1))
    assert {"2025-04", "2025-05"} <= set(paid)
    assert sorted(set(paid) - set(owed([life, gone], lists(), date(2025, 5, 1)))) == ["2025-04", "2025-05"]


def test_case_death_2025_03_31_advance_payment_paid_on_2025_03_28_recover_2025_04() -> None:
    life, gone = born(date(1940, 1, 10)), died(date(2025, 3, 31), received=date(2025, 4, 2))
    law = lists(when="advance")
    paid = owed([life], law, date(2025, 3, 1))
    assert sorted(set(paid) - set(owed([life, gone], law, date(2025, 3, 1)))) == ["2025-04"]


def test_case_death_event_then_revoked_resumes_and_pays_back_the_paused_months() -> None:
    life, gone = born(date(1940, 1, 10)), died(date(2025, 3, 31), received=date(2025, 4, 8))
    revoked = said("revoked", None, chain="death", action="annulled", kind="death", received=date(2025, 7, 1))
    paused = owed([life, gone], lists(), date(2025, 7, 1))
    resumed = owed([life, gone, revoked], lists(), date(2025, 7, 1))
    assert resumed == owed([life], lists(), date(2025, 7, 1))
    assert sorted(set(resumed) - set(paused)) == ["2025-04", "2025-05", "2025-06", "2025-07"]


def test_case_age90_2025_08_20_bands_50_100_next_month_gives_50_in_2025_08_and_100_in_2025_09() -> None:
    got = owed([born(date(1935, 8, 20))], lists(), date(2025, 9, 1))
    assert (got["2025-08"][0], got["2025-09"][0]) == (50, 100)


def test_case_duplicate_event_x3_gives_one_payment_line() -> None:
    life = born(date(1945, 6, 15))
    assert owed([life] * 3, lists(), date(2025, 12, 1)) == owed([life], lists(), date(2025, 12, 1))


def test_case_events_out_of_order_moved_out_2025_02_received_after_the_birthday_pays_nothing_in_the_old_county() -> (
    None
):
    birth = date(1945, 3, 10)
    life = born(birth, "530303")
    moved = born(birth, "530302", date(2025, 2, 14), event_id="moved", received=date(2025, 3, 25))
    assert {area for _, _, area in owed([life], lists(), date(2025, 12, 1)).values()} == {"530303"}
    for order in ([life, moved], [moved, life]):
        assert {area for _, _, area in owed(order, lists(), date(2025, 12, 1)).values()} == {"530302"}
