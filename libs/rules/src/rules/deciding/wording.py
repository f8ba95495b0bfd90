"""Conditions and what is known of a person, in Chinese an official and a resident understand."""

from collections.abc import Callable, Iterable
from typing import Any

from common.codes import divisions

from rules.deciding.conditions import (
    ABILITY,
    AGE,
    DISABILITY,
    ELSEWHERE,
    HUKOU,
    LIVING,
    LOW_INCOME,
    MERIT,
    PLACE,
    RESIDENCE,
    SPECIAL,
    TEST,
    WISHES,
    World,
)
from rules.form.items import BENEFIT_TITLES, ITEM_TITLES
from rules.form.policy import GROUPS, Condition

SUSPECTED = "因有未核实的死亡信息，核实前暂缓发放"
DOUBTED = "身份变更待核实，暂缓发放"
KIND_NAMES = {
    "registration": "户籍登记",
    "residence": "居住地",
    "disability": "残疾人证",
    "low_income": "困难认定",
    "living_situation": "居住状况",
    "special_family": "计划生育特殊家庭认定",
    "ability_result": "能力评估结果",
    "merit": "优抚或特殊贡献认定",
    "benefit_elsewhere": "其他部门待遇及其金额",
    "application": "本人申请",
}
_LOW_INCOME = {
    "dibao": "最低生活保障对象",
    "tekun": "特困人员",
    "bianyuan": "低保边缘家庭成员",
    "gangxing": "刚性支出困难家庭成员",
    "fanpin": "防止返贫监测对象",
}
_SUPPORT = {"concentrated": "集中供养", "scattered": "分散供养"}
_LIVING = {"alone": "独居", "empty_nest": "空巢", "left_behind": "留守"}
_PLACE = {"home": "居家", "institution": "机构", "elsewhere": "其他处所"}
_CHILD = {"dead": "独生子女死亡", "disabled": "独生子女伤残"}
_ABILITY = ("能力完好", "轻度失能", "中度失能", "重度失能", "完全失能")
_MERIT = {
    "veteran": "退役军人",
    "martyr_family": "烈士遗属",
    "soldier_family": "现役军人家属",
    "special_contribution": "对国家和社会作出特殊贡献的人员",
}
_WISH = {"apply": "申请", "decline": "放弃"}
_CLASS = ("", "视力", "听力", "言语", "肢体", "智力", "精神", "多重")
_DIGITS = "零一二三四"
_FUNDS = {
    "county": "县级财政",
    "district": "区级财政",
    "city": "市级财政",
    "province": "省级财政",
    "nation": "中央财政",
}
DUE_STATES = {"due": "应发", "held": "暂缓发放", "barred": "不予发放"}


def _or(words: Iterable[str]) -> str:
    return "或".join(words)


def _areas(codes: Iterable[str]) -> str:
    return _or(area_name(code) for code in codes)


def area_name(code: str) -> str:
    return divisions.name(code) or code


def fund_name(fund: str) -> str:
    """The fiscal level that pays."""
    return _FUNDS.get(fund, fund)


def _item(code: str) -> str:
    return ITEM_TITLES.get(code, code)


def _received(benefits: Iterable[tuple[str, int | None]]) -> str:
    said = []
    for benefit, fen in sorted(benefits, key=repr):
        said.append(BENEFIT_TITLES[benefit] + ("" if fen is None else "每月{}.{:02d}元".format(*divmod(fen, 100))))
    return "、".join(said)


def _disability_test(test: Any) -> str:
    kinds = "" if len(test.classes) == 7 else _or(_CLASS[c] for c in test.classes)
    levels = "" if len(test.levels) == 4 else "、".join(_DIGITS[level] for level in test.levels) + "级"
    return f"持有{levels}{kinds}残疾人证"


_TEST_TEXT: dict[str, Callable[[Any], str]] = {
    "age_years_min": lambda years: f"年满{years}周岁",
    "age_years_max": lambda years: f"不满{years + 1}周岁",
    "hukou_in": lambda areas: f"户籍在{_areas(areas)}",
    "residence_in": lambda areas: f"居住在{_areas(areas)}",
    "place_in": lambda places: f"住处为{_or(_PLACE[p] for p in places)}",
    "low_income_in": lambda kinds: f"属于{_or(_LOW_INCOME[k] for k in kinds)}",
    "support_in": lambda kinds: f"供养方式为{_or(_SUPPORT[k] for k in kinds)}",
    "disability": _disability_test,
    "ability_level_min": lambda level: f"经评估为{_ABILITY[level]}及以上" if level else "已做能力评估",
    "living_tag": lambda tags: _or(_LIVING[t] for t in tags),
    "special_family": lambda kinds: f"属于计划生育特殊家庭（{_or(_CHILD[k] for k in kinds)}）",
    "merit_in": lambda kinds: f"属于{_or(_MERIT[k] for k in kinds)}",
    "benefit_elsewhere_in": lambda kinds: f"正在享受{_or(BENEFIT_TITLES[k] for k in kinds)}",
    "applied": lambda items: f"本人已申请{_or(_item(i) for i in items)}",
}
_GROUP_TEXT = {"all_of": "同时符合：{}", "any_of": "符合下列之一：{}", "none_of": "不属于下列情形：{}"}

_VALUE_TEXT: dict[int, Callable[[Any], str]] = {
    HUKOU: lambda codes: area_name(codes[0]) if codes else "无户籍（持居住证件）",
    RESIDENCE: lambda codes: area_name(codes[0]),
    AGE: str,
    DISABILITY: lambda d: f"{_CLASS[d[0]]}残疾{_DIGITS[d[1]]}级",
    LOW_INCOME: lambda low: _LOW_INCOME[low[0]] + (f"（{_SUPPORT[low[1]]}）" if low[1] else ""),
    LIVING: lambda tags: "、".join(_LIVING[t] for t in tags) or "无",
    SPECIAL: lambda kind: _CHILD[kind],
    ABILITY: lambda level: _ABILITY[level],
    PLACE: lambda place: _PLACE[place],
    MERIT: lambda merits: "、".join(_MERIT[m] for m in sorted(merits)),
    ELSEWHERE: _received,
    WISHES: lambda wishes: "、".join(f"{_WISH[wish]}{_item(item)}" for item, wish in sorted(wishes)),
}


def condition_text(condition: Condition) -> str:
    name = condition.test
    argument = getattr(condition, name)
    if name in GROUPS:
        return _GROUP_TEXT[name].format("；".join(_inner(child) for child in argument))
    return _TEST_TEXT[name](argument)


def _inner(condition: Condition) -> str:
    """A group inside a group stands in brackets."""
    text = condition_text(condition)
    return f"（{text}）" if condition.test in GROUPS else text


def known_text(condition: Condition, world: World) -> str | None:
    """What is known of the person where a test looks; None for a group and where nothing is known."""
    test = TEST.get(condition.test)
    if test is None or world[test.slot] is None:
        return None
    return _VALUE_TEXT[test.slot](world[test.slot])


def value_text(slot: int, value: Any) -> str:
    """What a fact says of a person, with the name of its kind."""
    kind = next(test.kind for test in TEST.values() if test.slot == slot)
    return f"{KIND_NAMES[kind]}为{_VALUE_TEXT[slot](value)}"
