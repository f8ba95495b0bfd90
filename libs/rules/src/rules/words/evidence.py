"""Compute the answers of an item's conditions for one person, with the statements that gave the answers."""

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

    `absence`: the meaning of a missing value. `told`: a source reports every change of the kind there, so absence means
    no. `untold`: no source does. None: there is a value, no coverage was ever declared there, or coverage does not
    matter for this test.
    """

    code: str
    text: str
    holds: bool | None
    value: str | None = None
    facts: tuple[FactRef, ...] = ()
    absence: Absence | None = None


class Seen(NamedTuple):
    """The person and the day for which conditions are evaluated. `unreported`: kinds whose absence means unknown."""

    situation: Situation
    evidence: Evidence
    unreported: frozenset[str]
    where: Where
    on: date
    coverage: Coverage


def evidence_of(events: Sequence[Any]) -> Evidence:
    """Return by slot the statements that gave its value. `events`: by slot an event id, a tuple of ids, or None."""
    found: Evidence = {}
    for slot, row in enumerate(CIRCUMSTANCES):
        if events[slot]:
            ids = events[slot] if isinstance(events[slot], tuple) else (events[slot],)
            found[slot] = tuple(FactRef(event_id, row.fact.code) for event_id in ids)
    return found


def condition_outcomes(found: Applicable, seen: Seen) -> tuple[ConditionOutcome, ...]:
    """Return the answer about the place by which the list counts for a person, then one for each condition."""
    top = found.version.conditions
    return tuple(_outcome(condition, seen) for condition in (*_place(found), *(top.all_of or (top,))))


def _place(found: Applicable) -> Iterator[Condition]:
    """Yield the condition that the person's hukou or residence lies in the list's area. No file contains it.

    An item of the nation has no such condition, except if the place is unknown.
    """
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
    """Return the meaning of a missing value (`ConditionOutcome.absence`). None also if the list states a meaning."""
    test = TEST.get(condition.test)
    if test is None or condition.absent_means is not None or test.kind not in ANSWERING:
        return None
    reports = seen.coverage.reports(test.kind, seen.where, seen.on)
    if reports is None:
        return None
    return "told" if reports else "untold"


def _value(condition: Condition, seen: Seen) -> str | None:
    """Return in Chinese the value that a test reads; for a group, the values of its conditions that hold."""
    if condition.test not in GROUPS:
        return known_text(condition, seen.situation)
    holding = (c for c in condition.children if evaluate(c, seen.situation, seen.unreported))
    values = [_value(child, seen) for child in holding]
    return "，".join(dict.fromkeys(text for text in values if text)) or None
