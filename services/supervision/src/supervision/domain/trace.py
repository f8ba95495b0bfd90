"""The chain of one change in the order in which it happened."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    service: str
    what: str
    person_id: str | None
    event_id: str
    causation_id: str | None
    led_by: str | None = None


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Oldest first, each event once, and no effect before its cause: clocks of two processes may differ, and the
    business clock can be set back."""
    once = {step.event_id: step for step in steps}
    waiting: dict[str, list[Step]] = defaultdict(list)
    ordered: list[Step] = []

    def place(step: Step) -> None:
        stack = [step]
        while stack:
            found = stack.pop()
            ordered.append(found)
            stack += reversed(waiting.pop(found.event_id, []))

    placed: set[str] = set()
    for step in sorted(once.values(), key=lambda s: (s.at, s.event_id)):
        cause = step.causation_id
        if cause in once and cause not in placed and cause != step.event_id:
            waiting[cause].append(step)
            continue
        before = len(ordered)
        place(step)
        placed.update(s.event_id for s in ordered[before:])
    ordered += [step for group in waiting.values() for step in group]  # a circle of causes: told all the same
    return ordered
