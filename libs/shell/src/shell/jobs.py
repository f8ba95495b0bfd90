"""Run jobs: the periodic work of a service, in bounded steps. Each step continues where the last one stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from shell.kafka.relay import Relay
from shell.store.database import Database
from shell.store.failures import is_unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """A periodic job. `run(database)` does one bounded step and returns the number of things done. After a number above
    0 the next step follows at once, otherwise after `every_seconds`. A repeated step must be harmless.

    `shared`: the job runs in every replica and divides its work itself. Any other job begins a step only in the process
    whose relay is active. When another process takes the relay over, a running step is not stopped. So two processes
    may run steps of one job at the same time, which must be harmless.
    `step_seconds_max`: a longer step is cancelled and begun again (None: the setting `job_seconds_max`)."""

    name: str
    every_seconds: float
    run: Callable[[Database], Awaitable[int]]
    shared: bool = False
    step_seconds_max: float | None = None


@dataclass
class Turns:
    """A job as the watchdog sees it: the number of ended steps, and whether a step is running."""

    ended: int = 0
    running: bool = False


async def run_job(job: Job, database: Database, relay: Relay, turns: Turns) -> None:
    """Run the steps of a job until cancelled; log the error of a failed step. A job that is not shared begins a step
    only while the relay of this process is active."""
    while True:
        done = 0
        if relay.active or job.shared:
            turns.running = True
            try:
                done = await job.run(database)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the next step tries again
                level = logging.WARNING if is_unavailable(error) else logging.ERROR
                log.log(level, "job %s: %r", job.name, error)
            finally:
                turns.running = False
            turns.ended += 1  # a cancelled step does not count
        if not done:
            await asyncio.sleep(job.every_seconds)


def each_apart(things: Iterable[T], work: Callable[[T], R], name: Callable[[T], str]) -> tuple[list[R], list[T]]:
    """Apply `work` to each thing; returns the results, and the things on which it raised.

    A bug that one thing causes is logged and does not stop the others. `work` must not use a store. `name`: the name of
    a thing in the log."""
    made: list[R] = []
    failed: list[T] = []
    for thing in things:
        try:
            made.append(work(thing))
        except Exception:
            log.exception("cannot work on %s", name(thing))
            failed.append(thing)
    return made, failed
