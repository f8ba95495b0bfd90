"""What a list's own rules between items take away from what the lists above it give together."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Literal

from rules.comparing import Judgement, Less
from rules.exclusion_rules import Compatible, pairs_of
from rules.exclusions import Relations, giving_way
from rules.lists import Slab
from rules.narrowing import Side
from rules.outcome import Outcome
from rules.policy import PolicyList

Mode = Literal["both", "one_of", "blocked", "blocks"]


def ruled_pairs(one: PolicyList) -> list[tuple[str, str]]:
    """The pairs of items between which a list's own rules choose, each once."""
    pairs = (pair for rule in one.exclusions if not isinstance(rule, Compatible) for pair in pairs_of(rule))
    return list({frozenset(pair): pair for pair in pairs}.values())


def judge_exclusion(above: Slab, below: Slab, silent: Slab) -> Judgement | None:
    """`silent`: the child's items without its rules. The rules of the lists above count for both sides, so what they
    do to items that the child grants more widely is their doing."""
    had = {a.item.item: a for a in above.applicable}
    has = {a.item.item: a for a in below.applicable}
    if len(has) < 2:
        return None
    worse = [
        (item, other, _mode(below.relations, item, other))
        for item, other in permutations(sorted(has), 2)
        if _mode(below.relations, item, other) != _mode(silent.relations, item, other) and item in had
    ]

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        world, world_above = below.world(rest), above.world(rest)
        for item, other, mode in worse:
            mine, its = has[item].outcome(world), has[other].outcome(world)
            before = had[item].outcome(world_above)
            if not (_granted(mine) and _granted(its) and _granted(before)):
                continue
            both_before = other in had and _granted(had[other].outcome(world_above))
            if _loses(mode, _mode(silent.relations, item, other), mine, its, both_before):
                lost = giving_way(mine, "suppressed", other)  # type: ignore[arg-type]
                yield "suppressed", Side(had[item], before), Side(has[item], lost)

    return judgement if worse else None


def _granted(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.state == "granted"


def _mode(relations: Relations, item: str, other: str) -> Mode:
    """What the rules make of two items, seen from the first."""
    if other in relations.blocked_by.get(item, ()):
        return "blocked"
    if item in relations.blocked_by.get(other, ()):
        return "blocks"
    either = (*relations.beaten_by.get(item, ()), *relations.rivals.get(item, ()))
    return "one_of" if other in either else "both"


def _loses(mode: Mode, before: Mode, mine: Outcome | None, its: Outcome | None, both_before: bool) -> bool:
    """Whether an item is taken away that was had before the child's rule, with nothing as good in its place."""
    assert mine
    assert its
    amount, other = mine.amount_fen_per_month or 0, its.amount_fen_per_month or 0
    as_good = mine.kind == its.kind == "cash" and other >= amount
    if mode == "blocked":
        return before in ("both", "blocks") or not as_good
    return mode == "one_of" and before == "both" and both_before
