"""Find the items that a list's own rules take away although the lists above give them."""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, Literal, NamedTuple

from rules.deciding.exclusions import Relations, giving_way
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.segment import Segment
from rules.form.exclusion_rules import Block, Compatible, HigherOf, pairs_elsewhere, pairs_of
from rules.form.policy import PolicyList
from rules.form.situation import ELSEWHERE, Situation
from rules.proof.comparison import Judgement, Less
from rules.proof.shortfall import Side

Mode = Literal["both", "one_of", "blocked", "blocks"]


def ruled_pairs(one: PolicyList) -> list[tuple[str, str]]:
    """Return the pairs of items of which a list's own rules take one away, each pair once."""
    pairs = (pair for rule in one.exclusions if not isinstance(rule, Compatible) for pair in pairs_of(rule))
    return list({frozenset(pair): pair for pair in pairs}.values())


def ruled_elsewhere(one: PolicyList) -> list[tuple[str, str]]:
    """Return the pairs of item and benefit elsewhere for which a list's own rules take the item away, each once."""
    ruled = (rule for rule in one.exclusions if isinstance(rule, Block | HigherOf))
    return list(dict.fromkeys(pair for rule in ruled for pair in pairs_elsewhere(rule)))


def judge_elsewhere(above: Segment, below: Segment, silent: Segment, *, benefit: str) -> Judgement | None:
    """Return the judgement of one item with a benefit of another office. Segments and None: as in `judge_exclusion`."""
    had, has = next(iter(above.applicable), None), next(iter(below.applicable), None)
    if had is None or has is None:
        return None
    item = has.item.item
    if _weight(below.relations, item, benefit) <= _weight(silent.relations, item, benefit):
        return None

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        situation = below.situation(rest)
        mine, before = _granted(has, situation), _granted(had, above.situation(rest))
        if mine and before and _receives(situation, benefit):
            yield "suppressed", Side(had, before), Side(has, giving_way(mine, "suppressed", benefit))

    return judgement


def _receives(situation: Situation, benefit: str) -> bool:
    return any(received == benefit for received, _ in situation[ELSEWHERE] or ())


def _weight(relations: Relations, item: str, benefit: str) -> int:
    """Return how strongly a benefit excludes an item: 0 not at all, 1 the higher amount counts, 2 always."""
    if benefit in relations.blocked_elsewhere.get(item, ()):
        return 2
    return 1 if benefit in relations.beaten_elsewhere.get(item, ()) else 0


class _Pair(NamedTuple):
    """Two items with the rules between them, as seen from `item`: `mode` with the child's rules, `before` without."""

    item: str
    other: str
    mode: Mode
    before: Mode


def judge_exclusion(above: Segment, below: Segment, silent: Segment) -> Judgement | None:
    """Return the judgement of the rules between two items. None: they cannot take an item away.

    `above`: without the child. `below`: with it. `silent`: with the child's items, without its rules. The rules of the
    lists above count in all segments. So an effect of those rules is no narrowing by the child.
    """
    had = {a.item.item: a for a in above.applicable}
    has = {a.item.item: a for a in below.applicable}
    pairs = [p for p in _pairs(has, below.relations, silent.relations) if p.item in had and _is_worse(p)]

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        situation, situation_above = below.situation(rest), above.situation(rest)
        for pair in pairs:
            mine, its = _given(has[pair.item], situation), _given(has[pair.other], situation)
            before = _granted(had[pair.item], situation_above)
            if not (mine and its and before and _gives_way(pair, below.relations, mine, its)):
                continue
            if _had_both(pair, had, situation_above) or not _as_good(mine, its):
                lost = Side(has[pair.item], giving_way(mine, "suppressed", pair.other))
                yield "suppressed", Side(had[pair.item], before), lost

    return judgement if pairs else None


def _gives_way(pair: _Pair, relations: Relations, mine: Outcome, its: Outcome) -> bool:
    """Whether the child's rules take the first item away. `mine`, `its`: outcomes of the first and the second item."""
    return pair.mode == "blocked" or _yields(relations, mine, its)


def _had_both(pair: _Pair, had: Mapping[str, Applicable], situation: Situation) -> bool:
    """Whether the lists above give the person both items."""
    return pair.before == "both" and pair.other in had and _granted(had[pair.other], situation) is not None


def _pairs(items: dict[str, Applicable], below: Relations, silent: Relations) -> Iterator[_Pair]:
    for one, other in permutations(items, 2):
        yield _Pair(one, other, _mode(below, one, other), _mode(silent, one, other))


def _is_worse(pair: _Pair) -> bool:
    """Whether the child's rules may take the first item away, and the lists above do not block it anyway."""
    return pair.mode in ("blocked", "one_of") and pair.before not in (pair.mode, "blocked")


def _granted(found: Applicable, situation: Situation) -> Outcome | None:
    """Return the outcome of an item if it is granted, else None."""
    outcome = found.outcome(situation)
    return outcome if outcome and outcome.state == "granted" else None


def _given(found: Applicable, situation: Situation) -> Outcome | None:
    """Return the outcome of an item if the person has it (`Outcome.given`), else None."""
    outcome = found.outcome(situation)
    return outcome if outcome and outcome.given else None


def _mode(relations: Relations, item: str, other: str) -> Mode:
    """Return the rule between two items, as seen from the first: it is blocked, it blocks, one of them, or both."""
    if other in relations.blocked_by.get(item, ()):
        return "blocked"
    if item in relations.blocked_by.get(other, ()):
        return "blocks"
    either = (*relations.beaten_by.get(item, ()), *relations.rivals.get(item, ()))
    return "one_of" if other in either else "both"


def _yields(relations: Relations, mine: Outcome, its: Outcome) -> bool:
    """Whether the first item gives way, because the second has a higher amount. A person who may choose counts too: the
    person can have the higher amount."""
    return _worth(relations, mine) < _worth(relations, its)


def _worth(relations: Relations, outcome: Outcome) -> tuple[int, int]:
    """Return a sort key: the higher amount is worth more; at equal amounts the item named first."""
    return outcome.amount_fen_per_month or 0, -relations.rank[outcome.item]


def _as_good(mine: Outcome, its: Outcome) -> bool:
    """Whether the other item is at least as much money."""
    return mine.kind == its.kind == "cash" and (its.amount_fen_per_month or 0) >= (mine.amount_fen_per_month or 0)
