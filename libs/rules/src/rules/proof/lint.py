"""Find faults of a list before it decides any person: values without a source, conditions that nobody can meet, tiers
that nobody reaches. `rules.proof.inclusion` proves whether a list gives enough.

Each check yields notes (code, pointer, Chinese text). Its parameter `at` is the pointer of the checked part.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Final, Literal

import msgspec
from common.codes import divisions
from common.words_zh import ITEMS

from rules.form.exclusion_rules import Block, pairs_of
from rules.form.period import Dated, in_force
from rules.form.policy import Amount, Condition, ItemPolicy, PolicyList, Version
from rules.proof.lint_conditions import Note, lint_conditions

# Every code with its severity and its meaning. `contracts/policy/README.md` publishes them.
CODES: Final[dict[str, tuple[Literal["error", "warning"], str]]] = {
    "malformed": ("error", "文件不能读成清单（包括自设项目没有加地区代码前缀、版本重叠）"),
    "citation_missing": ("error", "标为有出处的值没有出处"),
    "version_gap": ("warning", "两个版本之间有空档"),
    "version_ends": ("warning", "最后一个版本到期后，本清单和上级清单都没有接续"),
    "period_empty": ("error", "终止日不晚于起始日，从不生效"),
    "age_range_empty": ("error", "最低年龄高于最高年龄"),
    "never_holds": ("error", "没有任何人能符合的条件"),
    "always_holds": ("warning", "所有人都符合的条件"),
    "branch_never_counts": ("warning", "没有任何人靠它符合条件的一种情形"),
    "too_many_cases": ("error", "条件组合太多，无法逐一核对"),
    "tier_unreachable": ("error", "没有任何人会进入的探访档"),
    "tier_order": ("warning", "排在后面的探访档更密"),
    "reverify_missing": ("warning", "没有规定独居、空巢、留守标签多久复核一次"),
    "band_unreachable": ("error", "没有任何人会进入的金额档"),
    "amount_gap": ("warning", "有人符合条件却没有对应的金额"),
    "amount_falls": ("error", "年龄或失能等级越高金额反而越低"),
    "division_unknown": ("error", "不存在的行政区划代码"),
    "item_unknown": ("error", "既不是公共项目、也没有已知地区代码前缀的项目"),
    "exclusion_unoffered": ("warning", "衔接规则提到的项目没有任何清单提供"),
    "block_cycle": ("error", "几个项目依次抑制、首尾相接，分不出先后"),
    "story_missing": ("error", "没有案例的项目"),
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the list of an area. `pointer`: its place in the list (RFC 6901), as in the body of a proposal."""

    severity: Literal["error", "warning"]
    code: str
    area: str
    pointer: str
    text: str

    @property
    def place(self) -> str:
        """The file of the fault under `contracts/policy`, and the place in it."""
        kind, _, rest = self.pointer.removeprefix("/").partition("/")
        name, _, inner = rest.partition("/") if kind == "items" else (kind, "", rest)
        return f"{self.area}/{name or '?'}.yaml" + (f" {inner}" if inner else "")


def lint(
    lists: Mapping[str, PolicyList], *, areas: Collection[str] | None = None, told: Collection[str] | None = None
) -> list[Finding]:
    """Return the findings about the lists of `areas` (None: all). `told`: items with a story; None: no check of it."""
    found: list[Finding] = []
    for area in sorted(lists if areas is None else areas):
        notes = _lint_list(lists[area], lists, told)
        found += [
            Finding(severity=CODES[code][0], code=code, area=area, pointer=pointer, text=text)
            for code, pointer, text in dict.fromkeys(notes)
        ]
    return found


def _lint_list(one: PolicyList, lists: Mapping[str, PolicyList], with_case: Collection[str] | None) -> Iterator[Note]:
    if not divisions.known(one.jurisdiction):
        yield "division_unknown", "/jurisdiction", f"没有地区{one.jurisdiction}"
    for name, item in one.items.items():
        at = f"/items/{name}"
        if with_case is not None and name not in with_case:
            yield "story_missing", at, f"{item.title}没有案例"
        yield from _item_code(name, at)
        yield from _periods(one, item, lists, at)
        for i, version in enumerate(item.versions):
            yield from _version(version, f"{at}/versions/{i}")
            yield from lint_conditions(one.jurisdiction, item, version, f"{at}/versions/{i}")
    yield from _exclusions(one, lists)
    yield from _block_cycles(one)
    yield from _bounds(one)


def _bounds(one: PolicyList) -> Iterator[Note]:
    for i, floor in enumerate(one.floors):
        yield from _item_code(floor.item, f"/floors/{i}/item")
        yield from _empty_period(floor, f"/floors/{i}")
        yield from _divisions(floor.conditions, f"/floors/{i}/conditions")
    for i, deviation in enumerate(one.deviations):
        yield from _item_code(deviation.item, f"/deviations/{i}/item")
        if deviation.people:
            yield from _divisions(deviation.people, f"/deviations/{i}/people")


def _item_code(name: str, at: str) -> Iterator[Note]:
    prefix, dot, _ = name.partition(".")
    if not (divisions.known(prefix) if dot else name in ITEMS):
        yield "item_unknown", at, f"{name}不是项目代码"


def _empty_period(dated: Dated, at: str) -> Iterator[Note]:
    if dated.valid_to is not None and dated.valid_to <= dated.valid_from:
        yield "period_empty", f"{at}/valid_to", f"终止日{dated.valid_to}不晚于起始日{dated.valid_from}"


def _periods(one: PolicyList, item: ItemPolicy, lists: Mapping[str, PolicyList], at: str) -> Iterator[Note]:
    for i, (before, after) in enumerate(pairwise(item.versions), 1):
        if before.valid_to != after.valid_from:
            gap = f"{before.valid_to}至{after.valid_from}之间没有版本"
            yield "version_gap", f"{at}/versions/{i}/valid_from", f"{item.title}在{gap}"
    last = item.versions[-1]
    if last.valid_to is None:
        return
    above = (lists[area] for area in divisions.ancestors(one.jurisdiction) if area in lists)
    if not any(_continues(last, last.valid_to, other.items.get(item.item)) for other in above):
        pointer = f"{at}/versions/{len(item.versions) - 1}/valid_to"
        yield "version_ends", pointer, f"{item.title}自{last.valid_to}起没有版本"


def _continues(ending: Version, ends_on: date, above: ItemPolicy | None) -> bool:
    """Whether a list above has the item from the end of a version on, with an amount if the version has one."""
    followers = [v for v in above.versions if v.valid_to is None] if above else []
    return any(v.valid_from <= ends_on and (v.amount or not ending.amount) for v in followers)


def _version(version: Version, at: str) -> Iterator[Note]:
    yield from _empty_period(version, at)
    yield from _divisions(version.conditions, f"{at}/conditions")
    yield from _tiers(version, at)
    yield from _reverify(version, f"{at}/reverify")
    if version.amount:
        yield from _amount(version.amount, version, f"{at}/amount")
    if version.pay and version.pay.status == "documented" and not version.pay.citation:
        yield "citation_missing", f"{at}/pay/citation", "发放条件标为有出处，但没有写明"


def _tiers(version: Version, at: str) -> Iterator[Note]:
    for i, tier in enumerate(version.tiers):
        if tier.conditions:
            yield from _divisions(tier.conditions, f"{at}/tiers/{i}/conditions")
        if tier.status == "documented" and version.status != "documented":
            yield "citation_missing", f"{at}/tiers/{i}/status", f"{tier.tier}档标为有出处，所引文件只作示例"
    for i, (before, after) in enumerate(pairwise(version.tiers), 1):
        if after.interval_days < before.interval_days:
            yield "tier_order", f"{at}/tiers/{i}/interval_days", f"{after.tier}档比前面的{before.tier}档更密"


def _reverify(version: Version, at: str) -> Iterator[Note]:
    if version.tiers and version.reverify is None:
        yield "reverify_missing", at, CODES["reverify_missing"][1]
    if version.reverify and version.reverify.status == "documented" and not version.reverify.citation:
        yield "citation_missing", f"{at}/citation", "标签复核期限标为有出处，但没有写明"


def _amount(amount: Amount, version: Version, at: str) -> Iterator[Note]:
    if amount.status == "documented" and not amount.citation and version.status != "documented":
        yield "citation_missing", f"{at}/citation", "金额标为有出处，但没有写明"
    for i, (before, after) in enumerate(pairwise(amount.bands), 1):
        if after.amount_fen < before.amount_fen:
            yield "amount_falls", f"{at}/bands/{i}/amount_fen", f"第{i + 1}档金额低于第{i}档"
    for i, case in enumerate(amount.cases):
        yield from _divisions(case.conditions, f"{at}/cases/{i}/conditions")


def _divisions(condition: Condition, at: str) -> Iterator[Note]:
    for test in condition.leaves():
        for area in test.areas:
            if not divisions.known(area):
                yield "division_unknown", at, f"没有地区{area}"


def _exclusions(one: PolicyList, lists: Mapping[str, PolicyList]) -> Iterator[Note]:
    """Yield a note for each rule between items that is never in force, and for each item in a rule if its code is
    unknown or no list offers it.

    A rule may name items of its own list, of the lists above it and of the lists below it.
    """
    here = one.jurisdiction
    chain = [x for area, x in lists.items() if divisions.within(area, here) or divisions.within(here, area)]
    offered = {item for x in (one, *chain) for item in x.items}
    for i, rule in enumerate(one.exclusions):
        yield from _empty_period(rule, f"/exclusions/{i}")
        for field in ("items", "by"):
            for k, item in enumerate(getattr(rule, field, ())):
                at = f"/exclusions/{i}/{field}/{k}"
                yield from _item_code(item, at)
                if item not in offered:
                    yield "exclusion_unoffered", at, f"没有清单提供{ITEMS.get(item, item)}"


def _block_cycles(one: PolicyList) -> Iterator[Note]:
    """Yield a note for each block of the list that is part of a cycle on some day.

    In a cycle, each item would be suppressed by the next. The order of the rules would decide which one is given.
    """
    blocks = [(i, rule) for i, rule in enumerate(one.exclusions) if isinstance(rule, Block)]
    for day in sorted({rule.valid_from for _, rule in blocks}):
        pairs = {i: set(pairs_of(rule)) for i, rule in blocks if in_force(rule, day)}
        in_cycle = _in_cycles(set().union(*pairs.values()))
        for i, of_rule in pairs.items():
            if found := of_rule & in_cycle:
                names = "、".join(f"{ITEMS.get(item, item)}被{ITEMS.get(by, by)}抑制" for item, by in sorted(found))
                yield "block_cycle", f"/exclusions/{i}", f"{names}，与其他规则首尾相接"


def _in_cycles(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the pairs (item, its blocker) that are part of a cycle, or between two cycles."""
    while True:
        blocked, blocking = {item for item, _ in pairs}, {by for _, by in pairs}
        kept = {(item, by) for item, by in pairs if item in blocking and by in blocked}
        if kept == pairs:
            return kept
        pairs = kept


def items_told(stories: Iterable[Mapping[str, object]]) -> set[str]:
    """Return the items for which a story states an expected result. `stories`: decoded files of
    `contracts/policy/cases`."""
    items: set[str] = set()
    for story in stories:
        then = story.get("then")
        for outcome in then if isinstance(then, list) else ():
            items |= {*outcome.get("expect", {}), *outcome.get("none", ())}
    return items
