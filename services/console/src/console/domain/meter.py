"""Measure counts, rates and backlogs of the stages from Kafka offsets. No message is read."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from console.domain.names import STAGES

HISTORY_SECONDS: Final = 60
Position = tuple[str, int]  # topic, partition


@dataclass(slots=True)
class Station:
    """The figures of one stage. `total`: records since the topics began. `waiting`: records that the service has not
    read; None if unknown. `history`: the rates of the last measurements, in records per second."""

    total: int = 0
    per_second: float = 0.0
    waiting: int | None = None
    history: deque[float] = field(default_factory=lambda: deque([0.0] * HISTORY_SECONDS, HISTORY_SECONDS))


class Meter:
    """The figures of all stages. `stations`: by stage id."""

    def __init__(self) -> None:
        self.stations = {stage.id: Station() for stage in STAGES}
        self._at: float | None = None

    def read_ends(self, ends: Mapping[Position, int], at: float) -> None:
        """Update counts and rates. `ends`: the end offset of every partition. `at`: seconds of a monotonic clock."""
        passed = None if self._at is None else at - self._at
        self._at = at
        for stage in STAGES:
            station = self.stations[stage.id]
            total = sum(end for (topic, _), end in ends.items() if topic in stage.topics)
            if passed:
                station.per_second = max(0.0, (total - station.total) / passed)
                station.history.append(round(station.per_second, 1))
            station.total = total

    def read_group(self, group: str, committed: Mapping[Position, int], ends: Mapping[Position, int]) -> None:
        """Update the backlog of the service with this consumer group from its committed offsets."""
        stage = next(stage for stage in STAGES if stage.group == group)
        waiting = [max(0, ends[place] - offset) for place, offset in committed.items() if place in ends and offset >= 0]
        self.stations[stage.id].waiting = sum(waiting) if waiting else None
