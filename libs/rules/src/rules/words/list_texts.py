"""Write the parts of a list in Chinese: versions, amounts, tiers, rules between items, floors and deviations."""

from typing import Final

from common.money import yuan
from common.words_zh import ITEMS

from rules.deciding.wording import condition_text, fund_name
from rules.form.bounds import NARROWINGS, Deviation, Floor
from rules.form.exclusion_rules import Block, ChoiceOf, Compatible, HigherOf
from rules.form.items import BENEFIT_TITLES
from rules.form.policy import Amount, Band, Exclusion, Tier, Version

_MODE: Final = {HigherOf: "就高享受其一", ChoiceOf: "由本人选择其一", Compatible: "可以同时享受"}
_VISIT_MODE: Final = {"in_person": "上门", "in_person_or_call": "上门或电话", "any": "方式不限"}
_STATUS: Final = {"documented": "有据", "example": "示例"}
_MONTH: Final = {"same_month": "当月", "next_month": "次月"}


def floor_text(floor: Floor) -> str:
    least = f"每月不低于{yuan(floor.amount_fen_min)}元，" if floor.kind == "cash" else ""
    status = "（示例）" if floor.status == "example" else ""
    return f"{ITEMS.get(floor.item, floor.item)}，{least}{_days(floor)}，{condition_text(floor.conditions)}{status}"


def deviation_text(deviation: Deviation) -> str:
    ways = "、".join(NARROWINGS[code] for code in deviation.narrows)
    people = condition_text(deviation.people) if deviation.people else "所有人"
    status = "（示例）" if deviation.is_example else ""
    source = f"依据{deviation.clause}，签批人{deviation.signer}，理由：{deviation.reason}"
    return f"{ITEMS.get(deviation.item, deviation.item)}，{ways}，{_days(deviation)}，{people}，{source}{status}"


def rule_text(rule: Exclusion) -> str:
    items = [ITEMS.get(item, item) for item in rule.items]
    elsewhere = [] if isinstance(rule, ChoiceOf) else [BENEFIT_TITLES[benefit] for benefit in rule.elsewhere]
    if isinstance(rule, Block):
        by = [ITEMS.get(item, item) for item in rule.by]
        return f"有{'、'.join(by + elsewhere)}的不享受{'、'.join(items)}，{_days(rule)}"
    return f"{'、'.join(items + elsewhere)}{_MODE[type(rule)]}，{_days(rule)}"


def _days(dated: Version | Exclusion | Floor | Deviation) -> str:
    return f"自{dated.valid_from}至{dated.valid_to}（不含）" if dated.valid_to else f"自{dated.valid_from}起"


def version_text(version: Version) -> str:
    parts = [_days(version), condition_text(version.conditions)]
    if version.amount:
        parts.append(amount_text(version.amount))
    if version.tiers:
        parts.append(tiers_text(version))
    return "，".join(parts) + ("（示例）" if version.status == "example" else "")


def amount_text(amount: Amount | None) -> str:
    if amount is None:
        return "无"
    if amount.flat_fen is not None:
        return f"每月{yuan(amount.flat_fen)}元"
    by_case = [f"{condition_text(c.conditions)}的{yuan(c.amount_fen)}元" for c in amount.cases]
    return "每月" + "、".join([*map(_band_text, amount.bands), *by_case])


def _band_text(band: Band) -> str:
    least = f"能力{band.least}级起" if band.age_years_min is None else f"{band.least}周岁起"
    return f"{least}{yuan(band.amount_fen)}元"


def tiers_text(version: Version) -> str:
    return "、".join(map(_tier_text, version.tiers)) or "无"


def _tier_text(tier: Tier) -> str:
    people = f"（{condition_text(tier.conditions)}）" if tier.conditions else ""
    example = "（示例）" if tier.status == "example" else ""
    return f"{tier.tier}档每{tier.interval_days}天{_VISIT_MODE[tier.mode]}{people}{example}"


def reverify_text(version: Version) -> str:
    return f"{version.reverify.living_tag_months}个月" if version.reverify else "无"


def pay_text(version: Version) -> str:
    pay = version.pay
    if pay is None:
        return "无"
    when = "预发" if pay.when == "advance" else "后发"
    months = f"{_MONTH[pay.start]}起发、{_MONTH[pay.stop]}停发、{_MONTH[pay.band_change]}调档"
    return f"{months}、{when}、由{fund_name(pay.fund)}负担{'（示例）' if pay.status == 'example' else ''}"


def statuses(version: Version) -> tuple[object, ...]:
    return version.status, version.amount and version.amount.status


def status_text(version: Version) -> str:
    status = _STATUS[version.status]
    own = version.amount.status if version.amount else None
    return f"{status}（标准：{_STATUS[own]}）" if own else status
