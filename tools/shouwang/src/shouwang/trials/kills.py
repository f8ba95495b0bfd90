"""Kills processes by a random plan and starts each again. One seed always gives the same plan."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from shouwang.runtime import processes
from shouwang.runtime.machine import Runtime

READY_SECONDS_MAX = 120
DELAY_SECONDS_MAX = 1.0
LEAD_MAX = 2


@dataclass(frozen=True)
class Kill:
    """SIGKILL of the process `victim`. It is done once step `step` of the work (from 0) has begun, the kills before it
    are done and the process is ready, after a further `delay_seconds`."""

    step: int
    delay_seconds: float
    victim: str


def plan_kills(rng: Random, victims: Sequence[str], times_each: int, steps: int, once: Sequence[str]) -> list[Kill]:
    """Make a plan of kills at random steps, sorted by step: `times_each` per victim, and one for each name in `once`.

    `steps`: the number of steps of the work.
    """
    names = [*victims] * times_each + [*once]
    plan = [Kill(int(rng.random() * steps), rng.random() * DELAY_SECONDS_MAX, name) for name in names]
    return sorted(plan, key=lambda kill: (kill.step, kill.delay_seconds))


class Killer:
    """Carries out a plan while other work runs. The work calls `reached` at the beginning of each step.

    `kills`: number of kills by process. `env`: environment for the services that are started again.
    """

    def __init__(self, runtime: Runtime, plan: Sequence[Kill], env: Mapping[str, str]) -> None:
        self.runtime = runtime
        self.kills: Counter[str] = Counter()
        self._plan = plan
        self._env = env
        self._step = -1
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Carry out the plan. Every killed process is ready again on return."""
        for kill in self._plan:
            async with self._moved:
                await self._moved.wait_for(lambda due=kill.step: self._step >= due)  # type: ignore[misc]
            await self._carry_out(kill)
            async with self._moved:
                self._moved.notify_all()
        for name in self.kills:
            await self._wait_ready(name)

    async def reached(self, step: int) -> None:
        """Report the beginning of a step. Waits while more than LEAD_MAX kills of earlier steps are not done."""
        async with self._moved:
            self._step = step
            self._moved.notify_all()
            await self._moved.wait_for(lambda: self._overdue() <= LEAD_MAX)

    def _overdue(self) -> int:
        """The number of kills of earlier steps that are not done."""
        done = sum(self.kills.values())
        return sum(kill.step < self._step for kill in self._plan[done:])

    async def _carry_out(self, kill: Kill) -> None:
        """Wait until the process is ready and the delay is over, then kill it and start it again."""
        await self._wait_ready(kill.victim)
        await asyncio.sleep(kill.delay_seconds)
        await asyncio.to_thread(self._kill_and_start, kill.victim)
        self.kills[kill.victim] += 1

    def _kill_and_start(self, process: str) -> None:
        name, replica = _parts(process)
        self.runtime.kill(name, replica)
        if name == "kafka":
            self.runtime.start_kafka()
        elif name == "postgres":
            self.runtime.start_postgres()
        else:
            self.runtime.start_service(name, replica, env=self._env)

    async def _wait_ready(self, process: str) -> None:
        name, replica = _parts(process)
        if name not in ("kafka", "postgres"):
            await asyncio.to_thread(self.runtime.wait_ready, name, replica, READY_SECONDS_MAX)
        elif not await asyncio.to_thread(processes.wait_until, lambda: self._answers(name), READY_SECONDS_MAX):
            raise TimeoutError(f"{name} did not start again")

    def _answers(self, name: str) -> bool:
        return self.runtime.kafka_answers() if name == "kafka" else self.runtime.postgres().is_ready()


def _parts(process: str) -> tuple[str, int]:
    """Return service and replica number of a process: `subsidy-1` is replica 1 of subsidy."""
    name, _, replica = process.partition("-")
    return name, int(replica or 0)
