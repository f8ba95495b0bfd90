"""List the changes between two lists of an area: for each change its item, first day and Chinese text."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

import msgspec

from rules.deciding.wording import condition_text
from rules.form.policy import Exclusion, ItemPolicy, PolicyList, Version
from rules.words.list_texts import (
    amount_text,
    deviation_text,
    floor_text,
    pay_text,
    reverify_text,
    rule_text,
    status_text,
    statuses,
    tiers_text,
    version_text,
)

B = TypeVar("B")


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
    found += _bounds("最低要求", before.floors, after.floors, floor_text)
    found += _bounds("经签批的偏离", before.deviations, after.deviations, deviation_text)
    return found


def _bounds(name: str, was: Sequence[B], now: Sequence[B], text_of: Callable[[B], str]) -> Iterator[ListChange]:
    """Yield the removed and the new floors or deviations. They change no decision."""
    for verb, bounds, others in (("取消", was, now), ("新增", now, was)):
        for bound in bounds:
            if bound not in others:
                yield ListChange(item=None, on=None, text=f"{verb}{name}：{text_of(bound)}")
    if was != now and all(bound in now for bound in was) and len(was) == len(now):
        yield ListChange(item=None, on=None, text=f"{name}的次序有改动")


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
        text = f"{verb}{item.title}：{version_text(version)}"
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
        yield ListChange(item=name, on=there.valid_from, text=f"{title}{verb}：{version_text(there)}")
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
    yield _Part("的标准", differs, amount_text(was.amount), amount_text(now.amount))
    yield _Part("的探访频次", was.tiers != now.tiers, tiers_text(was), tiers_text(now))
    yield _part("的标签复核期限", reverify_text(was), reverify_text(now))
    differs = (was.pay and was.pay.terms()) != (now.pay and now.pay.terms())
    yield _Part("的发放规则", differs, pay_text(was), pay_text(now))
    yield _part("由谁定标准", was.standard or "无", now.standard or "无")
    yield _Part("的来源状态", statuses(was) != statuses(now), status_text(was), status_text(now))


def _part(name: str, was: str, now: str) -> _Part:
    return _Part(name, was != now, was, now)


def _deciding_amount(version: Version) -> tuple[object, ...]:
    amount = version.amount
    return (amount.flat_fen, amount.bands, amount.cases) if amount else ()


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
                yield ListChange(item=None, on=rule.valid_from, text=f"{verb}项目之间的规则：{rule_text(rule)}")
    kept = [rule for rule in was if rule in now]
    if kept != [rule for rule in now if rule in was]:
        first = min(rule.valid_from for rule in kept)
        yield ListChange(item=None, on=first, text="项目之间的规则次序有改动")
