"""Remember the last steps (events) for the live page, and the deaths, which stop all services.

A caller sees the steps and the deaths of the caller's area.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeVar

SHOWN_MAX: Final = 100
KEPT_MAX: Final = 2_000  # more than shown, so that an officer of a small area still finds a hundred steps
REMEMBERED_MAX: Final = 50_000
V = TypeVar("V")
Tone = Literal["plain", "stop", "alert"]


@dataclass(frozen=True, slots=True)
class Step:
    """One event as a line on the screen.

    `what`: the event name. `division`: from the event, else from other events about the person. `other_division`: the
    second area of a case between two areas. `seq`: the number in the chain, 0 before the step is added.
    """

    at: datetime
    stage: str
    what: str
    text: str
    tone: Tone
    event_id: str
    correlation_id: str
    person_id: str | None
    division: str | None
    died: bool = False
    other_division: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """A death that stops all services. `known_at`: the instant of the first step of its chain.

    `stopped_at`: the instant of the decision, or of the last task or assessment that the death cancelled.
    """

    person_id: str
    division: str | None
    known_at: datetime
    stopped_at: datetime


class Chain:
    """A bounded memory of recent steps. It can be lost: the topics contain the events."""

    def __init__(self) -> None:
        self.seq = 0
        self._steps: deque[Step] = deque(maxlen=KEPT_MAX)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._areas: OrderedDict[str, str] = OrderedDict()
        self._begun: OrderedDict[str, datetime] = OrderedDict()
        self._stops: OrderedDict[str, Stop] = OrderedDict()

    def add(self, steps: Iterable[Step]) -> None:
        """Add steps in the order of time. An event that arrives twice is one step."""
        fresh = sorted((s for s in steps if s.event_id not in self._seen), key=lambda s: (s.at, s.event_id))
        for step in fresh:
            self._learn_area(step)
        for step in fresh:
            if step.event_id not in self._seen:
                self._append(step)

    def _learn_area(self, step: Step) -> None:
        """Remember the area in which the person of a step lives. A payment and a case between two areas do not show
        it."""
        if step.person_id and step.division and step.stage != "pay" and step.other_division is None:
            _remember(self._areas, step.person_id, step.division)

    def _append(self, step: Step) -> None:
        _remember(self._seen, step.event_id, None)
        if step.person_id and step.division is None:
            step = replace(step, division=self._areas.get(step.person_id))
        if step.correlation_id not in self._begun:
            _remember(self._begun, step.correlation_id, step.at)
        self._note_stop(step)
        self.seq += 1
        self._steps.append(replace(step, seq=self.seq))

    def since(self, seq: int, may_see: Callable[[str | None], bool]) -> list[Step]:
        """Return the steps after `seq` that the caller may see: the newest hundred, oldest first."""
        found: list[Step] = []
        for step in reversed(self._steps):
            if step.seq <= seq or len(found) == SHOWN_MAX:
                break
            if may_see(self._area(step)) or (step.other_division and may_see(step.other_division)):
                found.append(step)
        return found[::-1]

    def stops(self, may_see: Callable[[str | None], bool]) -> list[Stop]:
        """Return the deaths in the caller's area that the console has read, newest first, without corrected ones."""
        return [stop for stop in reversed(self._stops.values()) if may_see(stop.division)]

    def _note_stop(self, step: Step) -> None:
        """Remember a death, or the later instant at which it ended one more task. Forget it if it was corrected."""
        if step.person_id is None:
            return
        if step.what == "EntitlementsDecided" and not step.died:
            self._stops.pop(step.person_id, None)
        known = self._stops.get(step.person_id)
        if known is not None and step.tone == "stop" and not step.died:
            self._stops[step.person_id] = replace(known, stopped_at=max(known.stopped_at, step.at))
        elif known is None and step.died:
            begun = min(step.at, self._begun[step.correlation_id])
            _remember(self._stops, step.person_id, Stop(step.person_id, step.division, begun, step.at))

    def _area(self, step: Step) -> str | None:
        """Return the area of a step. It may become known after the step."""
        return step.division or self._areas.get(step.person_id or "")


def _remember(memory: OrderedDict[str, V], key: str, value: V) -> None:
    """Store a value in a bounded memory, and delete the oldest key if there are too many."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)
