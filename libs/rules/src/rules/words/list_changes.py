"""What one list of an area changes against another: from which day, and in Chinese sentences, item by item."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec
from common.money import yuan

from rules.deciding.wording import condition_text, fund_name
from rules.form.exclusion_rules import Block, ChoiceOf, Compatible, HigherOf
from rules.form.items import ITEM_TITLES
from rules.form.policy import Amount, Exclusion, ItemPolicy, PolicyList, Version


class ListChange(msgspec.Struct, frozen=True, kw_only=True):
    """`item` is None for what stands beside the items. `on`: the first day on which it matters; None: it matters to
    no decision (a floor, a deviation, a note)."""

    item: str | None
    on: date | None
    text: str


def first_day_changed(before: PolicyList, after: PolicyList) -> date | None:
    """The first day on which the two may decide differently; None: they never do."""
    days = [c.on for c in list_changes(before, after) if c.on is not None]
    return min(days, default=None)


def list_changes(before: PolicyList, after: PolicyList) -> list[ListChange]:
    """Sorted by item and day, what stands beside the items last."""
    found: list[ListChange] = []
    for name in sorted({*before.items, *after.items}):
        changes = _item_changes(name, before.items.get(name), after.items.get(name))
        found += sorted(changes, key=lambda change: change.on or date.min)
    found += _rules(before.exclusions, after.exclusions)
    for what, was, now in (
        ("最低要求", before.floors, after.floors),
        ("经签批的偏离", before.deviations, after.deviations),
    ):
        if was != now:
            found.append(ListChange(item=None, on=None, text=f"{what}由{len(was)}条改为{len(now)}条"))
    return found


def _item_changes(name: str, was: ItemPolicy | None, now: ItemPolicy | None) -> Iterator[ListChange]:
    title = (now or was).title  # type: ignore[union-attr]
    if was is None or now is None:
        there = now or was
        assert there is not None
        verb = "新增" if now else "取消"
        for version in there.versions:
            yield ListChange(item=name, on=version.valid_from, text=f"{verb}{title}：{_version_text(version)}")
        return
    if was.title != now.title:
        yield ListChange(item=name, on=None, text=f"名称由“{was.title}”改为“{now.title}”")
    if (was.kind, was.follows) != (now.kind, now.follows):
        first = min(v.valid_from for v in (*was.versions, *now.versions))
        yield ListChange(item=name, on=first, text=f"{title}改为{_basis(now)}（原为{_basis(was)}）")
    old, new = ({v.valid_from: v for v in side.versions} for side in (was, now))
    for day in sorted({*old, *new}):
        yield from _version_changes(name, title, old.get(day), new.get(day))


def _basis(item: ItemPolicy) -> str:
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
        first = min(d for d in (was.valid_to, now.valid_to) if d is not None)
        text = f"{title}（{start}起的一版）的终止日由{was.valid_to or '长期'}改为{now.valid_to or '长期'}"
        yield ListChange(item=name, on=first, text=text)
    place = f"{title}自{start}起"
    if was.conditions != now.conditions:
        yield _changed(name, start, f"{place}的条件", condition_text(was.conditions), condition_text(now.conditions))
    if _worth(was.amount) != _worth(now.amount):
        yield _changed(name, start, f"{place}的标准", _amount_text(was.amount), _amount_text(now.amount))
    if was.tiers != now.tiers:
        yield _changed(name, start, f"{place}的探访频次", _tiers_text(was), _tiers_text(now))
    if _believed(was) != _believed(now):
        yield _changed(name, start, f"{place}的标签复核期限", _believed(was), _believed(now))
    if (was.pay and was.pay.terms()) != (now.pay and now.pay.terms()):
        yield _changed(name, start, f"{place}的发放规则", _pay_text(was), _pay_text(now))
    if was.standard != now.standard:
        yield _changed(name, start, f"{place}由谁定标准", was.standard or "无", now.standard or "无")
    if was.status != now.status or (was.amount and was.amount.status) != (now.amount and now.amount.status):
        yield _changed(name, start, f"{place}的来源状态", _status_text(was), _status_text(now))
    if was.citation != now.citation:
        yield ListChange(item=name, on=None, text=f"{place}的依据改为{now.citation.title}{now.citation.locator}")
    if _beside(was) != _beside(now):
        told = "的说明、清单表述、出处或其他不影响决定的内容有改动"
        yield ListChange(item=name, on=None, text=place + told)


def _beside(version: Version) -> tuple[object, ...]:
    """What no decision reads, but the citation."""
    amount, pay, reverify = version.amount, version.pay, version.reverify
    return (
        version.note,
        version.listed,
        amount and amount.citation,
        pay and (pay.citation, pay.note),
        reverify and (reverify.status, reverify.citation, reverify.note),
    )


def _changed(name: str, on: date, what: str, was: str, now: str) -> ListChange:
    return ListChange(item=name, on=on, text=f"{what}由“{was}”改为“{now}”")


def _rules(was: tuple[Exclusion, ...], now: tuple[Exclusion, ...]) -> Iterator[ListChange]:
    for verb, rules, others in (("取消", was, now), ("新增", now, was)):
        for rule in rules:
            if rule not in others:
                yield ListChange(item=None, on=rule.valid_from, text=f"{verb}项目之间的规则：{_rule_text(rule)}")
    if was != now and len(was) == len(now) and all(rule in now for rule in was):
        first = min(rule.valid_from for rule in was)
        yield ListChange(item=None, on=first, text="项目之间的规则次序有改动")


def _rule_text(rule: Exclusion) -> str:
    items = "、".join(ITEM_TITLES.get(item, item) for item in rule.items)
    if isinstance(rule, Block):
        return f"有{'、'.join(ITEM_TITLES.get(by, by) for by in rule.by)}的不享受{items}，{_days(rule)}"
    return f"{items}{_MODE[type(rule)]}，{_days(rule)}"


_MODE: Final = {HigherOf: "就高享受其一", ChoiceOf: "由本人选择其一", Compatible: "可以同时享受"}


def _days(dated: Version | Exclusion) -> str:
    return f"自{dated.valid_from}至{dated.valid_to}（不含）" if dated.valid_to else f"自{dated.valid_from}起"


def _version_text(version: Version) -> str:
    parts = [_days(version), condition_text(version.conditions)]
    if version.amount:
        parts.append(_amount_text(version.amount))
    if version.tiers:
        parts.append(_tiers_text(version))
    return "，".join(parts) + ("（示例）" if version.status == "example" else "")


def _worth(amount: Amount | None) -> tuple[object, ...]:
    return (amount.flat_fen, amount.bands, amount.cases) if amount else ()


def _amount_text(amount: Amount | None) -> str:
    if amount is None:
        return "无"
    if amount.flat_fen is not None:
        return f"每月{yuan(amount.flat_fen)}元"
    by_band = [
        f"{f'{b.age_years_min}周岁起' if b.age_years_min is not None else f'能力{b.ability_level_min}级起'}"
        f"{yuan(b.amount_fen)}元"
        for b in amount.bands
    ]
    by_case = [f"{condition_text(c.conditions)}的{yuan(c.amount_fen)}元" for c in amount.cases]
    return "每月" + "、".join(by_band + by_case)


def _tiers_text(version: Version) -> str:
    return "、".join(f"{t.tier}档每{t.interval_days}天" for t in version.tiers) or "无"


def _believed(version: Version) -> str:
    return f"{version.reverify.living_tag_months}个月" if version.reverify else "无"


_MONTH = {"same_month": "当月", "next_month": "次月"}


def _pay_text(version: Version) -> str:
    if version.pay is None:
        return "无"
    p = version.pay
    when = "预发" if p.when == "advance" else "后发"
    return (
        f"{_MONTH[p.start]}起发、{_MONTH[p.stop]}停发、{_MONTH[p.band_change]}调档、{when}、由{fund_name(p.fund)}负担"
        f"{'（示例）' if p.status == 'example' else ''}"
    )


def _status_text(version: Version) -> str:
    statuses = [version.status, *([version.amount.status] if version.amount and version.amount.status else [])]
    return "示例" if "example" in statuses else "有据"
