"""What each process costs: CPU seconds over a span, and the peak of its share of memory (PSS), seen every five seconds.

PSS counts a page that n processes share as one n-th, so sums are honest: PostgreSQL is the sum of its backends.
Runs as a process of its own (`python -m benchmarks.usage name=pid …`), so that looking does not disturb the driver;
it ends on SIGTERM and prints what it found.
"""

import json
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from types import FrameType
from typing import Any

import psutil

LOOK_EVERY_SECONDS = 5.0


@dataclass
class Cost:
    """CPU seconds (user and system) since `start`, and the highest memory seen, in MiB."""

    pid: int
    with_children: bool = False
    cpu_at_start: float = 0.0
    cpu: float = 0.0
    memory_mb: float = 0.0
    seen: bool = field(default=False)

    def look(self, *, last: bool = False) -> None:
        """The memory of PostgreSQL only at the last look: to go through the mappings of some thirty backends of one
        large shared memory takes a second, in which they stand still."""
        try:
            family = [psutil.Process(self.pid)]
            if self.with_children:
                family += family[0].children(recursive=True)
        except psutil.NoSuchProcess:
            return
        memory, cpu = 0.0, 0.0
        for process in family:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu += times.user + times.system
                    if self.with_children:  # those that have ended are in their parent's count
                        cpu += times.children_user + times.children_system
                    if last or not self.with_children:
                        memory += process.memory_full_info().pss / 2**20
            except psutil.NoSuchProcess:
                continue
        if not self.seen:
            self.cpu_at_start, self.seen = cpu, True
        self.cpu = max(self.cpu, cpu - self.cpu_at_start)
        self.memory_mb = max(self.memory_mb, memory)


def cpu_seconds(pid: int) -> float:
    """User and system seconds so far of a process, its descendants, and its children that have ended; 0 if gone."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class Meter:
    """Starts the looking process and collects what it found."""

    def __init__(self, pids: dict[str, int]) -> None:
        command = [sys.executable, "-m", "benchmarks.usage", *(f"{name}={pid}" for name, pid in pids.items())]
        self._process = Popen(command, stdout=PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the first look is done

    def stop(self) -> dict[str, Any]:
        """`{"cpu_s": {name: …}, "memory_mb": {name: …}}`"""
        self._process.send_signal(signal.SIGTERM)
        out, _ = self._process.communicate(timeout=30)
        found: dict[str, Any] = json.loads(out)
        return found


def main(arguments: list[str]) -> int:
    named = (argument.partition("=") for argument in arguments)
    costs = {name: Cost(int(pid), with_children=name == "postgres") for name, _, pid in named}
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    first = True
    while not ended:
        for cost in costs.values():
            cost.look()
        if first:
            print("looking", flush=True)
            first = False
        time.sleep(LOOK_EVERY_SECONDS)
    for cost in costs.values():
        cost.look(last=True)
    found = {
        "cpu_s": {name: round(cost.cpu, 1) for name, cost in costs.items()},
        "memory_mb": {name: round(cost.memory_mb) for name, cost in costs.items()},
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
