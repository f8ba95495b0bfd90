"""The conditions of an item with their answers for one person, and the statements behind them."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

from rules.deciding.conditions import evaluate, slots_read
from rules.deciding.outcome import Applicable
from rules.deciding.wording import condition_text, known_text
from rules.facts.coverage import ANSWERING, Coverage, Where
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import GROUPS, NATION, Condition
from rules.form.situation import TEST, Situation

Absence = Literal["told", "untold"]
Evidence = dict[int, "tuple[FactRef, ...]"]  # by slot the statements that gave its value


class FactRef(msgspec.Struct, frozen=True):
    event_id: str
    kind: str


class ConditionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """`holds`: None if a missing fact decides. `value`: the person's value, in Chinese.

    `absence`, if there is no value: `told` where a source reports every change of the kind, so that absence is an
    answer; `untold` where none does; None where nobody ever declared a feed, or absence of the kind is never an
    answer.
    """

    code: str
    text: str
    holds: bool | None
    value: str | None = None
    facts: tuple[FactRef, ...] = ()
    absence: Absence | None = None


class Seen(NamedTuple):
    """The person and the day for which conditions are evaluated."""

    situation: Situation
    evidence: Evidence
    unreported: frozenset[str]
    where: Where
    on: date
    coverage: Coverage


def evidence_of(events: Sequence[Any]) -> Evidence:
    """`events`: by slot an event id, a tuple of them, or None."""
    found: Evidence = {}
    for slot, row in enumerate(CIRCUMSTANCES):
        if events[slot]:
            ids = events[slot] if isinstance(events[slot], tuple) else (events[slot],)
            found[slot] = tuple(FactRef(event_id, row.fact.code) for event_id in ids)
    return found


def condition_outcomes(found: Applicable, seen: Seen) -> tuple[ConditionOutcome, ...]:
    """The place by which the list counts for the person, then every condition of the item."""
    top = found.version.conditions
    return tuple(_outcome(condition, seen) for condition in (*_place(found), *(top.all_of or (top,))))


def _place(found: Applicable) -> Iterator[Condition]:
    """The place is a condition too, though no file writes it."""
    if found.jurisdiction == NATION and not found.presumed:
        return
    areas, by_hukou = (found.jurisdiction,), found.item.follows == "hukou"
    yield Condition(hukou_in=areas) if by_hukou else Condition(residence_in=areas)


def _outcome(condition: Condition, seen: Seen) -> ConditionOutcome:
    refs = [ref for slot in sorted(slots_read([condition])) for ref in seen.evidence.get(slot, ())]
    value = _value(condition, seen)
    return ConditionOutcome(
        code=condition.test,
        text=condition_text(condition),
        holds=evaluate(condition, seen.situation, seen.unreported),
        value=value,
        facts=tuple(dict.fromkeys(refs)),
        absence=_absence(condition, seen) if value is None else None,
    )


def _absence(condition: Condition, seen: Seen) -> Absence | None:
    """If the list itself states the meaning of absence, coverage does not matter."""
    test = TEST.get(condition.test)
    if test is None or condition.absent_means is not None or test.kind not in ANSWERING:
        return None
    reports = seen.coverage.reports(test.kind, seen.where, seen.on)
    if reports is None:
        return None
    return "told" if reports else "untold"


def _value(condition: Condition, seen: Seen) -> str | None:
    """The value that a test reads; of a group the values of its conditions that hold."""
    if condition.test not in GROUPS:
        return known_text(condition, seen.situation)
    holding = (c for c in condition.children if evaluate(c, seen.situation, seen.unreported))
    values = [_value(child, seen) for child in holding]
    return "，".join(dict.fromkeys(text for text in values if text)) or None
