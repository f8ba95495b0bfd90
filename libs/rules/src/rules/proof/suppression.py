"""What a list's own rules between items take away from what the lists above it give together."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Literal

from rules.deciding.conditions import World
from rules.deciding.exclusions import Relations, giving_way
from rules.deciding.lists import Slab
from rules.deciding.outcome import Applicable, Outcome
from rules.form.exclusion_rules import Block, Compatible, HigherOf, pairs_elsewhere, pairs_of
from rules.form.policy import PolicyList
from rules.proof.comparison import Judgement, Less
from rules.proof.shortfall import Side

Mode = Literal["both", "one_of", "blocked", "blocks"]


def ruled_pairs(one: PolicyList) -> list[tuple[str, str]]:
    """The pairs of items between which a list's own rules choose, each once."""
    pairs = (pair for rule in one.exclusions if not isinstance(rule, Compatible) for pair in pairs_of(rule))
    return list({frozenset(pair): pair for pair in pairs}.values())


def ruled_elsewhere(one: PolicyList) -> list[tuple[str, str]]:
    """The items with the benefits elsewhere to which a list's own rules let them give way, each once."""
    ruled = (rule for rule in one.exclusions if isinstance(rule, Block | HigherOf))
    return list(dict.fromkeys(pair for rule in ruled for pair in pairs_elsewhere(rule)))


def judge_elsewhere(above: Slab, below: Slab, silent: Slab, *, benefit: str) -> Judgement | None:
    """As `judge_exclusion`, of one item and one benefit of another office."""
    had, has = next(iter(above.applicable), None), next(iter(below.applicable), None)
    if had is None or has is None:
        return None
    item = has.item.item
    if _weight(below.relations, item, benefit) <= _weight(silent.relations, item, benefit):
        return None

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        world, world_above = below.world(rest), above.world(rest)
        mine, before = _granted(has, world), _granted(had, world_above)
        if mine and before and any(received == benefit for received, _ in world.elsewhere or ()):
            yield "suppressed", Side(had, before), Side(has, giving_way(mine, "suppressed", benefit))

    return judgement


def _weight(relations: Relations, item: str, benefit: str) -> int:
    """How much a benefit takes from an item: nothing, what is not more, everything."""
    if benefit in relations.blocked_elsewhere.get(item, ()):
        return 2
    return 1 if benefit in relations.beaten_elsewhere.get(item, ()) else 0


def judge_exclusion(above: Slab, below: Slab, silent: Slab) -> Judgement | None:
    """`silent`: the child's items without its rules. The rules of the lists above count for both sides, so what they
    do to items that the child grants more widely is their doing."""
    had = {a.item.item: a for a in above.applicable}
    has = {a.item.item: a for a in below.applicable}
    if len(has) < 2:
        return None
    modes = [(*pair, _mode(below.relations, *pair), _mode(silent.relations, *pair)) for pair in permutations(has, 2)]
    worse = [m for m in modes if m[0] in had and m[2] in ("blocked", "one_of") and m[2] != m[3]]

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        world, world_above = below.world(rest), above.world(rest)
        for item, other, mode, before_it in worse:
            mine, its = _given(has[item], world), _given(has[other], world)
            before = _granted(had[item], world_above)
            if not (mine and its and before):
                continue
            gives_way = mode == "blocked" or _yields(below.relations, mine, its)
            had_both = before_it == "both" and other in had and _granted(had[other], world_above)
            if gives_way and before_it != "blocked" and (had_both or not _as_good(mine, its)):
                lost = Side(has[item], giving_way(mine, "suppressed", other))
                yield "suppressed", Side(had[item], before), lost

    return judgement if worse else None


def _granted(found: Applicable, world: World) -> Outcome | None:
    outcome = found.outcome(world)
    return outcome if outcome and outcome.state == "granted" else None


def _given(found: Applicable, world: World) -> Outcome | None:
    outcome = found.outcome(world)
    return outcome if outcome and outcome.given else None


def _mode(relations: Relations, item: str, other: str) -> Mode:
    """What the rules make of two items, seen from the first."""
    if other in relations.blocked_by.get(item, ()):
        return "blocked"
    if item in relations.blocked_by.get(other, ()):
        return "blocks"
    either = (*relations.beaten_by.get(item, ()), *relations.rivals.get(item, ()))
    return "one_of" if other in either else "both"


def _yields(relations: Relations, mine: Outcome, its: Outcome) -> bool:
    """Which of two gives way to the higher amount; where the person chooses, they can have that as well."""
    amounts = mine.amount_fen_per_month or 0, its.amount_fen_per_month or 0
    return (amounts[0], -relations.rank[mine.item]) < (amounts[1], -relations.rank[its.item])


def _as_good(mine: Outcome, its: Outcome) -> bool:
    """Whether the other one is at least as much money."""
    return mine.kind == its.kind == "cash" and (its.amount_fen_per_month or 0) >= (mine.amount_fen_per_month or 0)
