"""SIGKILL at random instants, and a new start each time. One seed gives the same plan."""

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
class Strike:
    """Kill the process `victim` some time after step number `step` of the work has begun."""

    step: int
    delay_seconds: float
    victim: str


def plan_strikes(rng: Random, victims: Sequence[str], times_each: int, steps: int, once: Sequence[str]) -> list[Strike]:
    """Every victim so many times, each of `once` once, spread by chance over all steps."""
    names = [*victims] * times_each + [*once]
    strikes = [Strike(int(rng.random() * steps), rng.random() * DELAY_SECONDS_MAX, name) for name in names]
    return sorted(strikes, key=lambda strike: (strike.step, strike.delay_seconds))


class Killer:
    """Carries a plan out while somebody else works, and reports steps to it with `reached`."""

    def __init__(self, runtime: Runtime, strikes: Sequence[Strike], env: Mapping[str, str]) -> None:
        self.runtime = runtime
        self.kills: Counter[str] = Counter()
        self._strikes = strikes
        self._env = env
        self._step = -1
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Until the plan is done; everything runs again then."""
        for strike in self._strikes:
            async with self._moved:
                await self._moved.wait_for(lambda due=strike.step: self._step >= due)  # type: ignore[misc]
            await self._strike(strike)
            async with self._moved:
                self._moved.notify_all()
        for name in self.kills:
            await self._wait_ready(name)

    async def reached(self, step: int) -> None:
        """The work begins this step. It waits here while too many kills that belong before it are still to come."""
        async with self._moved:
            self._step = step
            self._moved.notify_all()
            await self._moved.wait_for(lambda: self._overdue() <= LEAD_MAX)

    def _overdue(self) -> int:
        done = sum(self.kills.values())
        return sum(strike.step < self._step for strike in self._strikes[done:])

    async def _strike(self, strike: Strike) -> None:
        """A process that is only starting would not be worth a kill."""
        await self._wait_ready(strike.victim)
        await asyncio.sleep(strike.delay_seconds)
        await asyncio.to_thread(self._kill_and_start, strike.victim)
        self.kills[strike.victim] += 1

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
            raise TimeoutError(f"{name} did not come back")

    def _answers(self, name: str) -> bool:
        return self.runtime.kafka_answers() if name == "kafka" else self.runtime.postgres().is_ready()


def _parts(process: str) -> tuple[str, int]:
    """`subsidy-1` is the further replica 1 of subsidy."""
    name, _, replica = process.partition("-")
    return name, int(replica or 0)
