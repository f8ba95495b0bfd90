"""The proof that a list gives at least what the lists above it give: to every possible person, on every day.

Under the nearest list that names an item nobody must be worse off than without that list. Nothing is sampled: the days
are cut where any version, or what is told somewhere, begins or ends, people into the cases that the conditions of both
sides can tell apart (`rules.proof.cells`), and one person of every case is put to the very functions that decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import msgspec
from common.codes import divisions

from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.facts.timeline import FAR_FUTURE
from rules.form.bounds import Deviation, Narrowing
from rules.form.exclusion_rules import pairs_elsewhere, pairs_of
from rules.form.policy import Condition, PolicyList
from rules.proof.comparison import Ancestors, Comparison, Found, Key, TooManyCases, judge_item
from rules.proof.floors import floor_list
from rules.proof.shortfall import describe, known_of, list_name, person_text
from rules.proof.suppression import judge_elsewhere, judge_exclusion, ruled_elsewhere, ruled_pairs

# What the answer is about, and what it is not about; every report carries both.
COVERED: Final = (
    "每一个项目、每一天、每一种人：给不给、金额、探访的间隔和方式、起停月份和发放时间",
    "不知道的情况：上级直接给的，下级不得再要求别的情况；上级要核实的，下级至少也要核实",
    "没有记录意味着什么：两边都按各地现在的数据报送情况",
    "下级自己的衔接规则：不得抑制上级同时给的项目，也不得因其他部门的待遇而少给",
    "上级的底线：每个下级清单都要有的项目及最低金额",
)
NOT_COVERED: Final = (
    "上级自己的衔接规则对下级放宽后的项目的作用（两边都适用，不算收窄）",
    "服务项目的内容和质量、资金渠道、办理流程",
    "与同一地区以前的清单相比是否收窄",
)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who gets less. `known`: parts of `rules.deciding.conditions.World` by name, places as division codes."""

    on: date
    known: dict[str, Any]
    text: str


class Narrower(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Over [`from_`, `to`) the child's list gives some people less of an item; `person` is one of them.

    `parent`: the area whose list gives more, `floor`: by a floor it sets. `deviation`: the child's deviation that
    names it. `Inclusion.narrower` holds it all the same if that deviation does not count.
    """

    item: str
    code: Narrowing
    parent: str
    from_: date = msgspec.field(name="from")
    to: date | None
    person: Person
    parent_gives: str
    child_gives: str
    sentence: str
    floor: bool = False
    deviation: Deviation | None = None


class Inclusion(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one list. `above`: areas of the lists above it, nearest first. `compared`: items both sides have.

    `narrower` is not allowed, `deviating` is, for as long as it is. `undecided`: items with too many cases to look at
    each. `idle`: deviations that allow nothing which happens.
    """

    child: str
    above: tuple[str, ...]
    compared: tuple[str, ...]
    narrower: tuple[Narrower, ...]
    deviating: tuple[Narrower, ...]
    undecided: tuple[str, ...]
    idle: tuple[Deviation, ...]

    @property
    def holds(self) -> bool:
        return not self.narrower and not self.undecided


def lists_above(
    area: str, lists: Mapping[str, PolicyList], ancestors: Ancestors = divisions.ancestors
) -> list[PolicyList]:
    """The lists that would count in an area without its own, nearest first."""
    return [lists[code] for code in ancestors(area) if code in lists]


def prove_inclusion(
    child: PolicyList,
    above: Sequence[PolicyList],
    ancestors: Ancestors = divisions.ancestors,
    *,
    coverage: Coverage = NOTHING_DECLARED,
    demo: bool,
) -> Inclusion:
    """Whether a list gives everybody at least what the lists above it (nearest first) give.

    What the child's own deviations allow is found all the same, and listed apart. `coverage`: what is told where.
    `demo`: an example deviation counts like a signed one.
    """
    found: list[Narrower] = []
    undecided: list[str] = []
    comparisons = list(_comparisons(child, above, ancestors, coverage))
    for one in comparisons:
        try:
            found += [_told(one, *narrower) for narrower in one.narrower()]
        except TooManyCases:
            undecided += one.items
    used = {narrower.deviation for narrower in found}
    allowed = {d for d in used if d is not None and (demo or not d.is_example)}
    return Inclusion(
        child=child.jurisdiction,
        above=tuple(one.jurisdiction for one in above),
        compared=tuple(dict.fromkeys(item for one in comparisons for item in one.items)),
        narrower=tuple(n for n in found if n.deviation not in allowed),
        deviating=tuple(n for n in found if n.deviation in allowed),
        undecided=tuple(dict.fromkeys(undecided)),
        idle=tuple(d for d in child.deviations if d not in used),
    )


def prove_all(
    lists: Mapping[str, PolicyList],
    ancestors: Ancestors = divisions.ancestors,
    *,
    below: str | None = None,
    coverage: Coverage = NOTHING_DECLARED,
    demo: bool,
) -> list[Inclusion]:
    """Every list (`below`: of what lies in an area) against those above it, and the areas without a list that a floor
    right above them binds. `demo`: as for `prove_inclusion`."""
    bound = {code for one in lists.values() if one.floors for code in divisions.children(one.jurisdiction)}
    return [
        prove_inclusion(
            lists.get(area) or PolicyList(jurisdiction=area), above, ancestors, coverage=coverage, demo=demo
        )
        for area in sorted({*lists, *bound})
        if (above := lists_above(area, lists, ancestors)) and (below is None or below in ancestors(area))
    ]


def _comparisons(
    child: PolicyList, above: Sequence[PolicyList], ancestors: Ancestors, coverage: Coverage
) -> Iterator[Comparison]:
    """What a list does not name it inherits as it is; only a floor can ask for what is not named."""
    compare = partial(Comparison, child=child, ancestors=ancestors, coverage=coverage)
    for item in sorted(child.items):
        if any(item in one.items for one in above):
            before = [only((item,), one) for one in above]
            yield compare((item,), [before, [only((item,), child), *before]], judge_item)
    for one in above:
        for floor in one.floors:
            after = [only((floor.item,), other) for other in (child, *above)]
            before = [floor_list(one.jurisdiction, floor)]
            yield compare((floor.item,), [before, after], partial(judge_item, floor=True), floor=True)
    for pair in ruled_pairs(child):
        before = [only(pair, one) for one in above]
        own = only(pair, child)
        silent = msgspec.structs.replace(own, exclusions=())
        yield compare(pair, [before, [own, *before], [silent, *before]], judge_exclusion)
    for item, benefit in ruled_elsewhere(child):
        before = [only((item,), one) for one in above]
        own = only((item,), child)
        silent = msgspec.structs.replace(own, exclusions=())
        judge = partial(judge_elsewhere, benefit=benefit)
        tests = (msgspec.convert({"benefit_elsewhere_in": (benefit,)}, Condition),)
        yield compare((item,), [before, [own, *before], [silent, *before]], judge, tests=tests)


def only(items: Sequence[str], one: PolicyList) -> PolicyList:
    """A list cut down to some items and, of several, what it rules between them."""
    kept = {item: one.items[item] for item in items if item in one.items}
    rules = tuple(
        rule
        for rule in one.exclusions
        if len({*items} & {i for p in pairs_of(rule) for i in p}) > 1
        or any(item in items for item, _ in pairs_elsewhere(rule))
    )
    return PolicyList(jurisdiction=one.jurisdiction, items=kept, exclusions=rules)


def _told(one: Comparison, start: date, end: date, key: Key, found: Found) -> Narrower:
    item, code, parent, deviation = key
    had, has, floor = found.parent, found.child, one.floor
    assert had.applicable
    who = person_text(found.world, found.places, one.tests)
    names = list_name(parent), list_name(has.applicable.jurisdiction if has.applicable else one.child)
    gives = describe(had), describe(has)
    by = f"按{names[0]}{'的底线应' if floor else ''}{gives[0]}"
    return Narrower(
        item=item,
        code=code,
        parent=parent,
        from_=start,
        to=None if end == FAR_FUTURE else end,
        person=Person(on=start, known=known_of(found.world, found.places), text=who),
        parent_gives=gives[0],
        child_gives=gives[1],
        sentence=f"{start}，{who}：{had.applicable.item.title}，{by}；按{names[1]}{gives[1]}。",
        floor=floor,
        deviation=deviation,
    )
