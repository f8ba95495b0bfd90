"""Deliver events late, more than once, and in the wrong order. Their content never changes."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple

from synth.cloud_events import Event, Sent

COPIES_MAX: Final = 3


class Push(NamedTuple):
    """One delivery of one event. `copy` counts from 1: an event may be delivered up to three times."""

    deliver_at: datetime
    event: Event
    copy: int


@dataclass(frozen=True)
class Faults:
    """How often delivery fails. `late`: so many of 1,000 events arrive up to `late_days_max` days late. `duplicate`: so
    many of 1,000 events are delivered two or three times. `overtaken`: in so many of 1,000 changes with several events,
    the first event arrives last, for example after its correction."""

    late: float = 60.0
    duplicate: float = 80.0
    overtaken: float = 250.0
    late_days_max: int = 45

    @staticmethod
    def none() -> "Faults":
        """Return no faults: every event arrives once, at once and in order."""
        return Faults(late=0, duplicate=0, overtaken=0)


class DeliveryQueue:
    """Holds pushes until they are due."""

    def __init__(self, faults: Faults, rng: Random) -> None:
        self._faults, self._rng = faults, rng
        self._waiting: list[tuple[datetime, int, int, Event]] = []
        self._count = 0

    def add(self, sent: list[Sent]) -> None:
        """Add the events of one change, in the order of their times."""
        for at, (_, event) in zip(self._arrivals(sent), sent, strict=True):
            self._push(at, event, 1)
            if self._happens(self._faults.duplicate):
                self._push_copies(at, event)

    def add_all(self, changes: Iterable[list[Sent]]) -> None:
        for sent in changes:
            self.add(sent)

    def _happens(self, per_thousand: float) -> bool:
        return self._rng.random() * 1000 < per_thousand

    def _arrivals(self, sent: list[Sent]) -> list[datetime]:
        """Return the instant of delivery of each event. Sometimes the first event arrives after all others."""
        times = [self._arrival(time) for time, _ in sent]
        if len(sent) > 1 and self._happens(self._faults.overtaken):
            times[0] = max(times) + timedelta(seconds=1 + int(self._rng.random() * 86_400))
        return times

    def _arrival(self, time: datetime) -> datetime:
        if self._happens(self._faults.late):
            return time + timedelta(days=self._rng.random() * self._faults.late_days_max)
        return time

    def _push_copies(self, at: datetime, event: Event) -> None:
        for copy in range(2, 2 + int(self._rng.random() * (COPIES_MAX - 1) + 1)):
            self._push(at + timedelta(seconds=int(self._rng.random() * 10 * 86_400)), event, copy)

    def _push(self, at: datetime, event: Event, copy: int) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, copy, event))

    def due(self, before: datetime) -> Iterator[Push]:
        """Remove and yield the pushes due before an instant, in order."""
        while self._waiting and self._waiting[0][0] < before:
            yield self._pop()

    def rest(self) -> Iterator[Push]:
        """Remove and yield all pushes, in order."""
        while self._waiting:
            yield self._pop()

    def _pop(self) -> Push:
        at, _, copy, event = heapq.heappop(self._waiting)
        return Push(at, event, copy)
