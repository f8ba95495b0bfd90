"""The table of circumstances: each row is one way in which a list can distinguish people.

Conditions, traits, proof, coverage and Chinese texts read this table. A new condition needs one row here, or one more
test in a row, and a field with the name of that test in `rules.form.condition_form.Condition`.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Final, get_args

from common.events.facts import LivingTag, LowIncomeCategory
from common.words_zh import ABILITY_LEVELS, ITEMS

from rules.form.circumstance_row import Circumstance, FactKind, Test
from rules.form.items import BENEFIT_TITLES
from rules.form.names import area_name

AGE_MAX: Final = 130
_FEN_MAX: Final = 10_000_000


# --- tests ---


def _any_in(wanted: Iterable[Any], has: Any) -> bool:
    return any(one in has for one in wanted)


def _value_in(wanted: Any, value: Any) -> bool:
    return value in wanted


def _support(wanted: tuple[str, ...], low_income: tuple[str, str | None]) -> bool | None:
    support = low_income[1]
    return None if support is None else support in wanted


def _disability(wanted: Any, has: tuple[int, int]) -> bool:
    return has[0] in wanted.classes and has[1] in wanted.levels


def _receives(wanted: Iterable[str], has: Iterable[tuple[str, int | None]]) -> bool:
    return any(benefit in wanted for benefit, _ in has)


def _applied(items: Iterable[str], wishes: Any) -> bool:
    return any((item, "apply") in wishes for item in items)


def _all_declined(items: Iterable[str], wishes: Any) -> bool:
    return all((item, "decline") in wishes for item in items)


# --- words ---

_LOW_INCOME: Final = {
    "dibao": "最低生活保障对象",
    "tekun": "特困人员",
    "bianyuan": "低保边缘家庭成员",
    "gangxing": "刚性支出困难家庭成员",
    "fanpin": "防止返贫监测对象",
}
_SUPPORT: Final = {"concentrated": "集中供养", "scattered": "分散供养"}
_LIVING: Final = {"alone": "独居", "empty_nest": "空巢", "left_behind": "留守"}
_PLACE: Final = {"home": "居家", "institution": "机构", "elsewhere": "其他处所"}
_CHILD: Final = {"dead": "独生子女死亡", "disabled": "独生子女伤残"}
_MERIT: Final = {
    "veteran": "退役军人",
    "martyr_family": "烈士遗属",
    "soldier_family": "现役军人家属",
    "special_contribution": "对国家和社会作出特殊贡献的人员",
}
_WISH: Final = {"apply": "申请", "decline": "放弃"}
_CLASS: Final = ("", "视力", "听力", "言语", "肢体", "智力", "精神", "多重")
_DIGITS: Final = "零一二三四"


def monthly_text(fen: int) -> str:
    """Return an amount per month in Chinese: `12345` → `每月123.45元`."""
    return "每月{}.{:02d}元".format(*divmod(fen, 100))


def _or(words: Mapping[str, str], codes: Iterable[str]) -> str:
    return "或".join(words[code] for code in codes)


def _areas(codes: Iterable[str]) -> str:
    return "或".join(area_name(code) for code in codes)


def _item(code: str) -> str:
    return ITEMS.get(code, code)


def _hukou_text(codes: tuple[str, ...]) -> str:
    return area_name(codes[0]) if codes else "无户籍（持居住证件）"


def _disability_test(test: Any) -> str:
    kinds = "" if len(test.classes) == 7 else "或".join(_CLASS[c] for c in test.classes)
    levels = "" if len(test.levels) == 4 else "、".join(_DIGITS[level] for level in test.levels) + "级"
    return f"持有{levels}{kinds}残疾人证"


def _ability_test(level: int) -> str:
    return f"经评估为{ABILITY_LEVELS[level]}及以上" if level else "已做能力评估"


def _low_income_text(low_income: tuple[str, str | None]) -> str:
    category, support = low_income
    return _LOW_INCOME[category] + (f"（{_SUPPORT[support]}）" if support else "")


def _benefits_text(benefits: Iterable[tuple[str, int | None]]) -> str:
    known = sorted(benefits, key=repr)
    return "、".join(BENEFIT_TITLES[b] + ("" if fen is None else monthly_text(fen)) for b, fen in known)


def _wishes_text(wishes: Iterable[tuple[str, str]]) -> str:
    return "、".join(f"{_WISH[wish]}{_item(item)}" for item, wish in sorted(wishes))


# --- traits and values ---


def _low_income_code(low_income: tuple[str, str | None]) -> str:
    category, support = low_income
    return f"{category}/{support}" if support else category


def _low_income_value(code: str) -> tuple[str, str | None]:
    category, _, support = code.partition("/")
    return category, support or None


def _disability_value(code: str) -> tuple[int, ...]:
    return tuple(int(part) for part in code.split("."))


def _benefit_value(code: str) -> tuple[str, int | None]:
    benefit, _, fen = code.partition("/")
    return benefit, None if fen == "None" else int(fen)


def _tags_value(code: str) -> tuple[str, ...]:
    return tuple(code.split(",")) if code else ()


def _every_low_income() -> Iterable[tuple[str, str | None]]:
    for category in get_args(LowIncomeCategory):
        for support in (None, "scattered", "concentrated") if category == "tekun" else (None,):
            yield category, support


def _every_set_of_tags() -> Iterable[tuple[str, ...]]:
    tags = get_args(LivingTag)
    for n in range(len(tags) + 1):
        yield from combinations(tags, n)


# --- the table ---

_REGISTRATION: Final = FactKind("registration", at_hukou=True)
_RESIDENCE: Final = FactKind("residence")

# A decision stores its facts in this order. Rows with `element` stand last.
CIRCUMSTANCES: Final[tuple[Circumstance, ...]] = (
    Circumstance(  # the areas, nearest first, that contain the hukou and are named in a list
        name="hukou",
        fact=_REGISTRATION,
        tests={"hukou_in": Test(_any_in, lambda areas: f"户籍在{_areas(areas)}")},
        text=_hukou_text,
    ),
    Circumstance(  # as for the hukou
        name="residence",
        fact=_RESIDENCE,
        tests={"residence_in": Test(_any_in, lambda areas: f"居住在{_areas(areas)}")},
        text=lambda codes: area_name(codes[0]),
    ),
    Circumstance(
        name="age",
        fact=_REGISTRATION,
        tests={
            "age_years_min": Test(lambda years, age: age >= years, lambda years: f"年满{years}周岁"),
            "age_years_max": Test(lambda years, age: age <= years, lambda years: f"不满{years + 1}周岁"),
        },
        text=str,
        known=tuple(range(AGE_MAX + 1)),
    ),
    Circumstance(  # (class, level)
        name="disability",
        fact=FactKind("disability", at_hukou=True),
        tests={"disability": Test(_disability, _disability_test)},
        text=lambda value: f"{_CLASS[value[0]]}残疾{_DIGITS[value[1]]}级",
        read=lambda fact: (fact.class_, fact.level),
        letter="d",
        encode=lambda value: f"{value[0]}.{value[1]}",
        parse=_disability_value,
        known=tuple((kind, level) for level in (4, 3, 2, 1) for kind in range(1, 8)),
    ),
    Circumstance(  # (category, support)
        name="low_income",
        fact=FactKind("low_income", at_hukou=True),
        tests={
            "low_income_in": Test(lambda kinds, low: low[0] in kinds, lambda kinds: f"属于{_or(_LOW_INCOME, kinds)}"),
            "support_in": Test(_support, lambda kinds: f"供养方式为{_or(_SUPPORT, kinds)}"),
        },
        text=_low_income_text,
        read=lambda fact: (fact.category, fact.support),
        letter="l",
        encode=_low_income_code,
        parse=_low_income_value,
        known=tuple(_every_low_income()),
    ),
    Circumstance(  # tags
        name="living",
        fact=FactKind("living_situation"),
        tests={"living_tag": Test(_any_in, lambda tags: _or(_LIVING, tags))},
        text=lambda tags: "、".join(_LIVING[tag] for tag in tags) or "无",
        read=lambda fact: fact.tags,
        letter="v",
        encode=lambda tags: ",".join(sorted(tags)),
        parse=_tags_value,
        known=tuple(_every_set_of_tags()),
    ),
    Circumstance(
        name="special",
        fact=FactKind("special_family", at_hukou=True),
        tests={"special_family": Test(_value_in, lambda kinds: f"属于计划生育特殊家庭（{_or(_CHILD, kinds)}）")},
        text=lambda kind: _CHILD[kind],
        read=lambda fact: fact.only_child,
        letter="s",
        known=("disabled", "dead"),
    ),
    Circumstance(  # level
        name="ability",
        fact=FactKind("ability_result"),
        tests={"ability_level_min": Test(lambda least, level: level >= least, _ability_test)},
        text=lambda level: ABILITY_LEVELS[level],
        letter="a",
        parse=int,
        known=(0, 1, 2, 3, 4),
    ),
    Circumstance(
        name="place",
        fact=_RESIDENCE,
        tests={"place_in": Test(_value_in, lambda places: f"住处为{_or(_PLACE, places)}")},
        text=lambda place: _PLACE[place],
        known=("home", "institution", "elsewhere"),
    ),
    Circumstance(
        name="merits",
        fact=FactKind("merit"),
        tests={"merit_in": Test(_any_in, lambda kinds: f"属于{_or(_MERIT, kinds)}")},
        text=lambda merits: "、".join(_MERIT[merit] for merit in sorted(merits)),
        read=lambda fact: fact.merit,
        letter="m",
        element=str,
    ),
    Circumstance(  # (benefit, fen per month or None if the amount is unknown)
        name="elsewhere",
        fact=FactKind("benefit_elsewhere"),
        tests={"benefit_elsewhere_in": Test(_receives, lambda kinds: f"正在享受{_or(BENEFIT_TITLES, kinds)}")},
        text=_benefits_text,
        read=lambda fact: (fact.benefit, fact.amount_fen_per_month),
        letter="e",
        encode=lambda value: f"{value[0]}/{value[1]}",
        parse=_benefit_value,
        element=lambda name: (name, _FEN_MAX),  # no condition reads the amount; the highest deducts most
    ),
    Circumstance(  # (item, apply or decline)
        name="wishes",
        fact=FactKind("application"),
        tests={
            "applied": Test(_applied, lambda items: f"本人已申请{'或'.join(map(_item, items))}", denied=_all_declined)
        },
        text=_wishes_text,
        read=lambda fact: (fact.item, fact.wish),
        letter="w",
        encode="/".join,
        parse=lambda code: tuple(code.split("/")),
        element=lambda name: (name, "apply"),
    ),
)
