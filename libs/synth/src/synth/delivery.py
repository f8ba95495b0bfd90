"""How pushes arrive: late, more than once, and in the wrong order. What they say is never touched."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from synth.scribe import Event, Sent

COPIES_MAX = 3


class Push(NamedTuple):
    """One delivery of one event. `copy` counts from 1: the same id and content may be delivered up to
    three times.
    """

    deliver_at: datetime
    event: Event
    copy: int


@dataclass(frozen=True)
class Faults:
    """How many of 1,000 pushes go wrong. `late`: days to weeks late; `duplicate`: delivered two or three
    times; `overtaken`: a correction, annulment or end arrives before what it names."""

    late: float = 60.0
    duplicate: float = 80.0
    overtaken: float = 250.0
    late_days_max: int = 45

    @staticmethod
    def none() -> "Faults":
        """Everything arrives once, at once and in order."""
        return Faults(late=0, duplicate=0, overtaken=0)


class Post:
    """Holds pushes until it is their time. It holds no more than what is under way."""

    def __init__(self, faults: Faults, rng: Random) -> None:
        self._faults, self._rng = faults, rng
        self._under_way: list[tuple[datetime, int, int, Event]] = []
        self._count = 0

    def take(self, sent: list[Sent]) -> None:
        """Accept what belongs together, in the order in which it was told."""
        times = [self._arrival(time) for time, _ in sent]
        if len(sent) > 1 and self._rng.random() * 1000 < self._faults.overtaken:
            times[0] = max(times) + timedelta(seconds=1 + int(self._rng.random() * 86_400))
        for at, (_, event) in zip(times, sent, strict=True):
            self._hold(at, event, 1)
            if self._rng.random() * 1000 < self._faults.duplicate:
                for copy in range(2, 2 + int(self._rng.random() * (COPIES_MAX - 1) + 1)):
                    self._hold(at + timedelta(seconds=int(self._rng.random() * 10 * 86_400)), event, copy)

    def _arrival(self, told: datetime) -> datetime:
        if self._rng.random() * 1000 < self._faults.late:
            return told + timedelta(days=self._rng.random() * self._faults.late_days_max)
        return told

    def _hold(self, at: datetime, event: Event, copy: int) -> None:
        self._count += 1
        heapq.heappush(self._under_way, (at, self._count, copy, event))

    def due(self, before: datetime) -> Iterator[Push]:
        """Let go what is to be delivered before an instant, in order."""
        while self._under_way and self._under_way[0][0] < before:
            at, _, copy, event = heapq.heappop(self._under_way)
            yield Push(at, event, copy)

    def rest(self) -> Iterator[Push]:
        """Let go everything, in order."""
        while self._under_way:
            at, _, copy, event = heapq.heappop(self._under_way)
            yield Push(at, event, copy)
