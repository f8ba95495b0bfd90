"""Bring the chain of one change, which is all events that follow from it, into causal order."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One event in a chain. `led_by`: see `tables.StepRow`."""

    at: datetime
    service: str
    what: str
    person_id: str | None
    event_id: str
    causation_id: str | None
    led_by: str | None = None


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Return the steps oldest first, each event once, and no effect before its cause. Times alone are not enough: the
    clocks of two processes may differ, and the business clock can be set back."""
    by_id = {step.event_id: step for step in steps}
    waiting: dict[str, list[Step]] = defaultdict(list)
    ordered: list[Step] = []
    placed: set[str] = set()
    for step in sorted(by_id.values(), key=lambda s: (s.at, s.event_id)):
        cause = step.causation_id
        if cause in by_id and cause not in placed and cause != step.event_id:
            waiting[cause].append(step)
            continue
        chain = _with_waiting(step, waiting)
        ordered += chain
        placed.update(s.event_id for s in chain)
    ordered += [step for group in waiting.values() for step in group]  # events that cause each other are kept too
    return ordered


def _with_waiting(step: Step, waiting: dict[str, list[Step]]) -> list[Step]:
    """Return the step and all steps that wait for it directly or indirectly; remove these from `waiting`."""
    chain: list[Step] = []
    stack = [step]
    while stack:
        found = stack.pop()
        chain.append(found)
        stack += reversed(waiting.pop(found.event_id, []))
    return chain
