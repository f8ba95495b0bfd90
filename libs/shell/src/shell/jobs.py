"""What a service does by the clock, in bounded steps, going on where it stopped."""

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
    """`run(database)` does one bounded step and returns how many things it did; while it did some it is called
    again at once. It must be harmless to run twice. `shared`: it parts its work among processes by itself, so it runs
    in every replica; the others run in one process at a time. `step_seconds_max`: a longer step is cancelled and begun
    again (None: the setting `job_seconds_max`)."""

    name: str
    every_seconds: float
    run: Callable[[Database], Awaitable[int]]
    shared: bool = False
    step_seconds_max: float | None = None


@dataclass
class Turns:
    """A job as the watchdog sees it: how many steps have ended, and whether one is running."""

    ended: int = 0
    running: bool = False


async def run_job(job: Job, database: Database, relay: Relay, turns: Turns) -> None:
    """Until cancelled; unless the job is shared, only where this process is the one that relays."""
    while True:
        done = 0
        if relay.active or job.shared:
            turns.running = True
            try:
                done = await job.run(database)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - a job is tried again at its next turn
                level = logging.WARNING if is_unavailable(error) else logging.ERROR
                log.log(level, "job %s: %r", job.name, error)
            finally:
                turns.running = False
            turns.ended += 1  # not when cancelled
        if not done:
            await asyncio.sleep(job.every_seconds)


def each_apart(things: Iterable[T], work: Callable[[T], R], name: Callable[[T], str]) -> tuple[list[R], list[T]]:
    """What `work`, which touches no store, made of each, and the things on which it failed: a bug that one of them
    brings out is logged and keeps none of the others waiting. `name`: how the log may name a thing."""
    made: list[R] = []
    failed: list[T] = []
    for thing in things:
        try:
            made.append(work(thing))
        except Exception:
            log.exception("cannot work on %s", name(thing))
            failed.append(thing)
    return made, failed
