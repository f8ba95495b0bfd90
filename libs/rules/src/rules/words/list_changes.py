"""List the changes between two lists of an area: for each change its item, first day and Chinese text."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple, TypeVar

import msgspec
from common.money import yuan
from common.words_zh import ITEMS

from rules.deciding.wording import condition_text, fund_name
from rules.form.bounds import NARROWINGS, Deviation, Floor
from rules.form.exclusion_rules import Block, ChoiceOf, Compatible, HigherOf
from rules.form.items import BENEFIT_TITLES
from rules.form.policy import Amount, Band, Exclusion, ItemPolicy, PolicyList, Tier, Version

B = TypeVar("B")

_MODE: Final = {HigherOf: "就高享受其一", ChoiceOf: "由本人选择其一", Compatible: "可以同时享受"}
_VISIT_MODE: Final = {"in_person": "上门", "in_person_or_call": "上门或电话", "any": "方式不限"}
_STATUS: Final = {"documented": "有据", "example": "示例"}
_MONTH: Final = {"same_month": "当月", "next_month": "次月"}


class ListChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `item`: None for rules, floors and deviations. `on`: the first day on which the change counts; None:
    it changes no decision (a floor, a deviation, a note)."""

    item: str | None
    on: date | None
    text: str


def first_day_changed(before: PolicyList, after: PolicyList) -> date | None:
    """Return the first day on which the two lists may decide differently; None: never."""
    days = [c.on for c in list_changes(before, after) if c.on is not None]
    return min(days, default=None)


def list_changes(before: PolicyList, after: PolicyList) -> list[ListChange]:
    """Return the changes from one list to another, by item and day. Rules, floors and deviations come last."""
    found: list[ListChange] = []
    for name in sorted({*before.items, *after.items}):
        changes = _item_changes(name, before.items.get(name), after.items.get(name))
        found += sorted(changes, key=lambda change: change.on or date.min)
    found += _rules(before.exclusions, after.exclusions)
    found += _bounds("最低要求", before.floors, after.floors, _floor_text)
    found += _bounds("经签批的偏离", before.deviations, after.deviations, _deviation_text)
    return found


def _bounds(name: str, was: Sequence[B], now: Sequence[B], text_of: Callable[[B], str]) -> Iterator[ListChange]:
    """Yield the removed and the new floors or deviations. They change no decision."""
    for verb, bounds, others in (("取消", was, now), ("新增", now, was)):
        for bound in bounds:
            if bound not in others:
                yield ListChange(item=None, on=None, text=f"{verb}{name}：{text_of(bound)}")
    if was != now and all(bound in now for bound in was) and len(was) == len(now):
        yield ListChange(item=None, on=None, text=f"{name}的次序有改动")


def _floor_text(floor: Floor) -> str:
    least = f"每月不低于{yuan(floor.amount_fen_min)}元，" if floor.kind == "cash" else ""
    status = "（示例）" if floor.status == "example" else ""
    return f"{ITEMS.get(floor.item, floor.item)}，{least}{_days(floor)}，{condition_text(floor.conditions)}{status}"


def _deviation_text(deviation: Deviation) -> str:
    ways = "、".join(NARROWINGS[code] for code in deviation.narrows)
    people = condition_text(deviation.people) if deviation.people else "所有人"
    status = "（示例）" if deviation.is_example else ""
    source = f"依据{deviation.clause}，签批人{deviation.signer}，理由：{deviation.reason}"
    return f"{ITEMS.get(deviation.item, deviation.item)}，{ways}，{_days(deviation)}，{people}，{source}{status}"


def _item_changes(name: str, was: ItemPolicy | None, now: ItemPolicy | None) -> Iterator[ListChange]:
    if was is None or now is None:
        there = now or was
        assert there is not None
        yield from _whole_item(there, "新增" if now else "取消")
        return
    if was.title != now.title:
        yield ListChange(item=name, on=None, text=f"名称由“{was.title}”改为“{now.title}”")
    if (was.kind, was.follows) != (now.kind, now.follows):
        first = min(v.valid_from for v in (*was.versions, *now.versions))
        yield ListChange(item=name, on=first, text=f"{now.title}改为{_basis(now)}（原为{_basis(was)}）")
    old, new = ({v.valid_from: v for v in side.versions} for side in (was, now))
    for day in sorted({*old, *new}):
        yield from _version_changes(name, now.title, old.get(day), new.get(day))


def _whole_item(item: ItemPolicy, verb: str) -> Iterator[ListChange]:
    for version in item.versions:
        text = f"{verb}{item.title}：{_version_text(version)}"
        yield ListChange(item=item.item, on=version.valid_from, text=text)


def _basis(item: ItemPolicy) -> str:
    """Return in Chinese whether an item is money or a service, and which place it follows."""
    kind = "资金" if item.kind == "cash" else "服务"
    return f"{kind}、按{'户籍' if item.follows == 'hukou' else '居住地'}"


def _version_changes(name: str, title: str, was: Version | None, now: Version | None) -> Iterator[ListChange]:
    if was is None or now is None:
        there = now or was
        assert there is not None
        verb = "新增一版" if now else "取消一版"
        yield ListChange(item=name, on=there.valid_from, text=f"{title}{verb}：{_version_text(there)}")
        return
    start = was.valid_from
    if was.valid_to != now.valid_to:
        yield _end_change(name, title, was, now)
    place = f"{title}自{start}起"
    for part in _parts(was, now):
        if part.differs:
            text = f"{place}{part.name}由“{part.was}”改为“{part.now}”"
            if part.was == part.now:  # only `absent_means` of a condition has no text
                text = f"{place}{part.name}有改动（没有记录时如何认定）：“{part.now}”"
            yield ListChange(item=name, on=start, text=text)
    if was.citation != now.citation:
        yield ListChange(item=name, on=None, text=f"{place}的依据改为{now.citation.title}{now.citation.locator}")
    if _notes(was) != _notes(now):
        text = f"{place}的说明、清单表述、出处或其他不影响决定的内容有改动"
        yield ListChange(item=name, on=None, text=text)


def _end_change(name: str, title: str, was: Version, now: Version) -> ListChange:
    first = min(d for d in (was.valid_to, now.valid_to) if d is not None)
    ends = f"终止日由{was.valid_to or '长期'}改为{now.valid_to or '长期'}"
    return ListChange(item=name, on=first, text=f"{title}（{was.valid_from}起的一版）的{ends}")


class _Part(NamedTuple):
    """A part of a version that affects decisions, with its Chinese texts in the two lists."""

    name: str
    differs: bool
    was: str
    now: str


def _parts(was: Version, now: Version) -> Iterator[_Part]:
    differs = was.conditions != now.conditions
    yield _Part("的条件", differs, condition_text(was.conditions), condition_text(now.conditions))
    differs = _deciding_amount(was) != _deciding_amount(now)
    yield _Part("的标准", differs, _amount_text(was.amount), _amount_text(now.amount))
    yield _Part("的探访频次", was.tiers != now.tiers, _tiers_text(was), _tiers_text(now))
    yield _part("的标签复核期限", _reverify_text(was), _reverify_text(now))
    differs = (was.pay and was.pay.terms()) != (now.pay and now.pay.terms())
    yield _Part("的发放规则", differs, _pay_text(was), _pay_text(now))
    yield _part("由谁定标准", was.standard or "无", now.standard or "无")
    yield _Part("的来源状态", _statuses(was) != _statuses(now), _status_text(was), _status_text(now))


def _part(name: str, was: str, now: str) -> _Part:
    return _Part(name, was != now, was, now)


def _deciding_amount(version: Version) -> tuple[object, ...]:
    amount = version.amount
    return (amount.flat_fen, amount.bands, amount.cases) if amount else ()


def _statuses(version: Version) -> tuple[object, ...]:
    return version.status, version.amount and version.amount.status


def _notes(version: Version) -> tuple[object, ...]:
    """Return the parts of a version that no decision reads, without the citation."""
    amount, pay, reverify = version.amount, version.pay, version.reverify
    return (
        version.note,
        version.listed,
        amount and amount.citation,
        pay and (pay.citation, pay.note),
        reverify and (reverify.status, reverify.citation, reverify.note),
    )


def _rules(was: tuple[Exclusion, ...], now: tuple[Exclusion, ...]) -> Iterator[ListChange]:
    for verb, rules, others in (("取消", was, now), ("新增", now, was)):
        for rule in rules:
            if rule not in others:
                yield ListChange(item=None, on=rule.valid_from, text=f"{verb}项目之间的规则：{_rule_text(rule)}")
    kept = [rule for rule in was if rule in now]
    if kept != [rule for rule in now if rule in was]:
        first = min(rule.valid_from for rule in kept)
        yield ListChange(item=None, on=first, text="项目之间的规则次序有改动")


def _rule_text(rule: Exclusion) -> str:
    items = [ITEMS.get(item, item) for item in rule.items]
    elsewhere = [] if isinstance(rule, ChoiceOf) else [BENEFIT_TITLES[benefit] for benefit in rule.elsewhere]
    if isinstance(rule, Block):
        by = [ITEMS.get(item, item) for item in rule.by]
        return f"有{'、'.join(by + elsewhere)}的不享受{'、'.join(items)}，{_days(rule)}"
    return f"{'、'.join(items + elsewhere)}{_MODE[type(rule)]}，{_days(rule)}"


def _days(dated: Version | Exclusion | Floor | Deviation) -> str:
    return f"自{dated.valid_from}至{dated.valid_to}（不含）" if dated.valid_to else f"自{dated.valid_from}起"


def _version_text(version: Version) -> str:
    parts = [_days(version), condition_text(version.conditions)]
    if version.amount:
        parts.append(_amount_text(version.amount))
    if version.tiers:
        parts.append(_tiers_text(version))
    return "，".join(parts) + ("（示例）" if version.status == "example" else "")


def _amount_text(amount: Amount | None) -> str:
    if amount is None:
        return "无"
    if amount.flat_fen is not None:
        return f"每月{yuan(amount.flat_fen)}元"
    by_case = [f"{condition_text(c.conditions)}的{yuan(c.amount_fen)}元" for c in amount.cases]
    return "每月" + "、".join([*map(_band_text, amount.bands), *by_case])


def _band_text(band: Band) -> str:
    least = f"能力{band.least}级起" if band.age_years_min is None else f"{band.least}周岁起"
    return f"{least}{yuan(band.amount_fen)}元"


def _tiers_text(version: Version) -> str:
    return "、".join(map(_tier_text, version.tiers)) or "无"


def _tier_text(tier: Tier) -> str:
    people = f"（{condition_text(tier.conditions)}）" if tier.conditions else ""
    example = "（示例）" if tier.status == "example" else ""
    return f"{tier.tier}档每{tier.interval_days}天{_VISIT_MODE[tier.mode]}{people}{example}"


def _reverify_text(version: Version) -> str:
    return f"{version.reverify.living_tag_months}个月" if version.reverify else "无"


def _pay_text(version: Version) -> str:
    pay = version.pay
    if pay is None:
        return "无"
    when = "预发" if pay.when == "advance" else "后发"
    months = f"{_MONTH[pay.start]}起发、{_MONTH[pay.stop]}停发、{_MONTH[pay.band_change]}调档"
    return f"{months}、{when}、由{fund_name(pay.fund)}负担{'（示例）' if pay.status == 'example' else ''}"


def _status_text(version: Version) -> str:
    status = _STATUS[version.status]
    own = version.amount.status if version.amount else None
    return f"{status}（标准：{_STATUS[own]}）" if own else status
