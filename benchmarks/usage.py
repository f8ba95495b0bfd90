"""Measures the cost of each process: processor seconds over a span, and its highest memory, sampled every five seconds.

The memory of PostgreSQL is read only once, at the end.

Memory is PSS: a page that n processes share counts as one n-th for each. So the sum over PostgreSQL's backends is
right. `python -m benchmarks.usage name=pid …` is its own process, so that sampling does not disturb the driver. It
prints the costs as JSON after SIGTERM.
"""

import json
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from types import FrameType

import psutil

from benchmarks.figures import Figures

SAMPLE_EVERY_SECONDS = 5.0
STOP_SECONDS_MAX = 30
MIB = 2**20


@dataclass
class Cost:
    """The cost of one process: processor seconds (user and system) since the first sample, and the highest memory seen,
    in MiB. `with_children`: include its descendants, and read the memory only in the last sample."""

    pid: int
    with_children: bool = False
    cpu_at_start: float = 0.0
    cpu: float = 0.0
    memory_mb: float = 0.0
    sampled: bool = field(default=False)

    def sample(self, *, last: bool = False) -> None:
        """Add one sample. The memory of PostgreSQL is read in the last sample only.

        Reading the mappings of thirty backends with one large shared memory takes a second, and stops them.
        """
        cpu = memory = 0.0
        for process in _family(self.pid, with_children=self.with_children):
            with suppress(psutil.NoSuchProcess), process.oneshot():
                cpu += _cpu_seconds(process, with_ended_children=self.with_children)
                memory += _memory_mb(process) if last or not self.with_children else 0.0
        if not self.sampled:
            self.cpu_at_start, self.sampled = cpu, True
        self.cpu = max(self.cpu, cpu - self.cpu_at_start)
        self.memory_mb = max(self.memory_mb, memory)


def _family(pid: int, *, with_children: bool) -> list[psutil.Process]:
    """The process, with its descendants if wanted; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)] if with_children else [process]
    except psutil.NoSuchProcess:
        return []


def _memory_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss / MIB)


def _cpu_seconds(process: psutil.Process, *, with_ended_children: bool) -> float:
    times = process.cpu_times()
    own: float = times.user + times.system
    if with_ended_children:
        own += times.children_user + times.children_system
    return own


def cpu_seconds(pid: int) -> float:
    """Processor seconds so far of a process, its descendants and its ended children; 0 if it has ended."""
    total = 0.0
    for process in _family(pid, with_children=True):
        with suppress(psutil.NoSuchProcess):
            total += _cpu_seconds(process, with_ended_children=True)
    return total


class Meter:
    """Starts the sampling process and reads its costs. `pids`: by name."""

    def __init__(self, pids: dict[str, int]) -> None:
        command = [sys.executable, "-m", "benchmarks.usage", *(f"{name}={pid}" for name, pid in pids.items())]
        self._process = Popen(command, stdout=PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # after the first sample

    def stop(self) -> Figures:
        """End the sampling; return the costs as `{"cpu_s": {name: …}, "memory_mb": {name: …}}`."""
        self._process.send_signal(signal.SIGTERM)
        out, _ = self._process.communicate(timeout=STOP_SECONDS_MAX)
        found: Figures = json.loads(out)
        return found


class _Stop:
    """A flag that SIGTERM sets."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def main(arguments: list[str]) -> int:
    """Sample the processes `name=pid` until SIGTERM, then print their costs. Returns 0."""
    costs = _costs_of(arguments)
    stop = _Stop()
    _sample(costs.values())
    print("sampling", flush=True)
    while not stop.requested:
        time.sleep(SAMPLE_EVERY_SECONDS)
        if not stop.requested:
            _sample(costs.values())
    _sample(costs.values(), last=True)
    print(json.dumps(_figures(costs)))
    return 0


def _figures(costs: Mapping[str, Cost]) -> Figures:
    return {
        "cpu_s": {name: round(cost.cpu, 1) for name, cost in costs.items()},
        "memory_mb": {name: round(cost.memory_mb) for name, cost in costs.items()},
    }


def _costs_of(arguments: list[str]) -> dict[str, Cost]:
    """The costs by name, still empty, from `name=pid` arguments."""
    return dict(_cost_of(argument) for argument in arguments)


def _cost_of(argument: str) -> tuple[str, Cost]:
    name, _, pid = argument.partition("=")
    return name, Cost(int(pid), with_children=name == "postgres")


def _sample(costs: Iterable[Cost], *, last: bool = False) -> None:
    for cost in costs:
        cost.sample(last=last)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
