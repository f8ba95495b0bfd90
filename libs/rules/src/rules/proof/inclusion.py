"""Prove that a list gives every possible person on every day at least the benefits of the lists above it.

The nearest list that names an item counts. No person may get less from it than without it. The proof takes no samples.
It divides time at the days on which a version, a rule, a deviation or the coverage changes. It divides persons into the
cases that the conditions of both sides distinguish (`rules.proof.cells`). It decides one person of each case with the
functions of `rules.deciding`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import msgspec
from common.codes import divisions

from rules.deciding.areas import Ancestors
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.facts.timeline import FAR_FUTURE
from rules.form.bounds import Deviation, Narrowing
from rules.form.exclusion_rules import Exclusion, pairs_elsewhere, pairs_of
from rules.form.names import list_name
from rules.form.policy import Condition, PolicyList
from rules.proof.comparison import Comparison, Found, Key, TooManyCases, judge_item
from rules.proof.floors import floor_list
from rules.proof.shortfall import describe, known_of, person_text
from rules.proof.suppression import judge_elsewhere, judge_exclusion, ruled_elsewhere, ruled_pairs

# The subjects that the proof covers, and those that it does not cover. Every report carries both.
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
_Compare = Callable[..., Comparison]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A possible person who gets less. `known`: values by name of their circumstance, places as division codes."""

    on: date
    known: dict[str, Any]
    text: str


class Narrower(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Over [`from_`, `to`) the child's list gives some persons less of an item; `person` is one of them.

    `parent`: the area whose list gives more; `floor`: by a floor. `deviation`: the child's deviation that names this
    narrowing. If the deviation does not count, the narrowing is in `Inclusion.narrower`.
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
    """The result for one list. `above`: areas of the lists above it, nearest first. `compared`: the compared items.

    `narrower`: narrowings that are not allowed. `deviating`: those that a deviation allows. `undecided`: items with too
    many cases. `idle`: deviations of the list that allow none of the narrowings found.
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
    """Return the lists that would count in an area if it had no list, nearest first."""
    return [lists[code] for code in ancestors(area) if code in lists]


def prove_inclusion(
    child: PolicyList,
    above: Sequence[PolicyList],
    ancestors: Ancestors = divisions.ancestors,
    *,
    coverage: Coverage = NOTHING_DECLARED,
    demo: bool,
) -> Inclusion:
    """Return whether a list (`child`) gives every person at least as much as the lists above it (nearest first).

    The result also names the narrowings that a deviation of the child allows. `demo`: an example deviation counts like
    a signed one.
    """
    found: list[Narrower] = []
    undecided: list[str] = []
    comparisons = list(_comparisons(child, above, ancestors, coverage))
    for one in comparisons:
        try:
            found += [_narrower(one, *narrowing) for narrowing in one.narrower()]
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
    """Return the proof for every list that has a list above it, sorted by area.

    An area without a list is included if a floor directly above binds it. `below`: only areas inside this one. `demo`:
    as for `prove_inclusion`.
    """
    bound = {code for one in lists.values() if one.floors for code in divisions.children(one.jurisdiction)}
    found: list[Inclusion] = []
    for area in sorted({*lists, *bound}):
        above = lists_above(area, lists, ancestors)
        if above and (below is None or below in ancestors(area)):
            child = lists.get(area) or PolicyList(jurisdiction=area)
            found.append(prove_inclusion(child, above, ancestors, coverage=coverage, demo=demo))
    return found


def _comparisons(
    child: PolicyList, above: Sequence[PolicyList], ancestors: Ancestors, coverage: Coverage
) -> Iterator[Comparison]:
    """Yield the comparisons of a proof: items, floors, rules between items, rules about benefits elsewhere.

    A list inherits an item that it does not name, so only a floor can demand such an item.
    """
    compare = partial(Comparison, child=child, ancestors=ancestors, coverage=coverage)
    for item in sorted(child.items):
        if any(item in one.items for one in above):
            before = [only((item,), one) for one in above]
            yield compare((item,), [before, [only((item,), child), *before]], judge_item)
    yield from _floors(child, above, compare)
    for pair in ruled_pairs(child):
        yield compare(pair, _with_and_without_rules(pair, child, above), judge_exclusion)
    for item, benefit in ruled_elsewhere(child):
        judge = partial(judge_elsewhere, benefit=benefit)
        tests = (msgspec.convert({"benefit_elsewhere_in": (benefit,)}, Condition),)
        yield compare((item,), _with_and_without_rules((item,), child, above), judge, tests=tests)


def _floors(child: PolicyList, above: Sequence[PolicyList], compare: _Compare) -> Iterator[Comparison]:
    """Yield the comparison of each floor with the lists that count."""
    for one in above:
        for floor in one.floors:
            demanded = [floor_list(one.jurisdiction, floor)]
            given = [only((floor.item,), other) for other in (child, *above)]
            yield compare((floor.item,), [demanded, given], partial(judge_item, floor=True), floor=True)


def _with_and_without_rules(
    items: Sequence[str], child: PolicyList, above: Sequence[PolicyList]
) -> list[list[PolicyList]]:
    """Return three sets of lists: without the child, with it, with it but without its own rules between items."""
    before = [only(items, one) for one in above]
    own = only(items, child)
    silent = msgspec.structs.replace(own, exclusions=())
    return [before, [own, *before], [silent, *before]]


def only(items: Sequence[str], one: PolicyList) -> PolicyList:
    """Return a list with some of its items only, and the rules about these items."""
    kept = {item: one.items[item] for item in items if item in one.items}
    rules = tuple(rule for rule in one.exclusions if _concerns(rule, {*items}))
    return PolicyList(jurisdiction=one.jurisdiction, items=kept, exclusions=rules)


def _concerns(rule: Exclusion, items: set[str]) -> bool:
    """Whether a rule is about two of the items, or about one of them and a benefit elsewhere."""
    paired = {item for pair in pairs_of(rule) for item in pair}
    return len(items & paired) > 1 or any(item in items for item, _ in pairs_elsewhere(rule))


def _narrower(one: Comparison, start: date, end: date, key: Key, found: Found) -> Narrower:
    item, code, parent, deviation = key
    return Narrower(
        item=item,
        code=code,
        parent=parent,
        from_=start,
        to=None if end == FAR_FUTURE else end,
        person=_person(one, start, found),
        parent_gives=describe(found.parent),
        child_gives=describe(found.child),
        sentence=_sentence(one, start, parent, found),
        floor=one.floor,
        deviation=deviation,
    )


def _person(one: Comparison, on: date, found: Found) -> Person:
    text = person_text(found.situation, found.places, one.tests)
    return Person(on=on, known=known_of(found.situation, found.places), text=text)


def _sentence(one: Comparison, on: date, parent: str, found: Found) -> str:
    assert found.parent.applicable
    has = found.child.applicable
    title = found.parent.applicable.item.title
    below = list_name(has.jurisdiction if has else one.child)
    demanded = f"按{list_name(parent)}{'的底线应' if one.floor else ''}{describe(found.parent)}"
    who = person_text(found.situation, found.places, one.tests)
    return f"{on}，{who}：{title}，{demanded}；按{below}{describe(found.child)}。"
