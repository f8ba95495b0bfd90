"""Runs the platform of one commit. The commit's own command `shouwang` starts it, signs its tokens and stops it.

The comparing checkout uses only `run/ports.json`, `run/*.pid`, the HTTP routes and the stores behind those ports.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shouwang.runtime import processes
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

from benchmarks.compare.checkout import Checkout, run, tail
from benchmarks.usage import cpu_seconds

UP_TRIES = 4  # on a busy machine a service may need longer than `up` waits; the next `up` continues
UP_SECONDS_MAX = 1_200  # a commit with another Kafka downloads it first
DOWN_SECONDS_MAX = 120
TOKEN_SECONDS_MAX = 60
DATA = ("kafka", "postgres", "keys")


class Cost(NamedTuple):
    """User and system seconds of a process and its descendants since their start."""

    pid: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. `runtime` only finds its ports and processes; it starts and stops nothing here."""

    checkout: Checkout
    runtime: Runtime

    @property
    def intake_url(self) -> str:
        return self.runtime.service_url("ingestion")

    def token(self, *words: str) -> str:
        """A token that the commit itself signs, for example `token("--role", "admin")`."""
        return shouwang(self.checkout, self.runtime.home, "token", *words, seconds=TOKEN_SECONDS_MAX).strip()

    def costs(self) -> dict[str, Cost]:
        """Processor time so far, by process: services, supervisor, postgres and kafka."""
        return {name: Cost(pid, cpu_seconds(pid)) for name, pid in self.runtime.running().items()}


@contextmanager
def platform(checkout: Checkout, home: Path) -> Iterator[Platform]:
    """Start everything on a fresh home. At the end stop it and remove the data; the logs stay until the next run."""
    discard(home, logs=True)
    try:
        _start(checkout, home)
        yield Platform(checkout, Runtime(home, ports="free"))
    finally:
        try:
            shouwang(checkout, home, "down", seconds=DOWN_SECONDS_MAX)
        finally:
            discard(home)


def _start(checkout: Checkout, home: Path) -> None:
    for tries_left in reversed(range(UP_TRIES)):
        try:
            shouwang(checkout, home, "up", seconds=UP_SECONDS_MAX)
        except LocalProblem:
            if not tries_left:
                raise
        else:
            return


def shouwang(checkout: Checkout, home: Path, *words: str, seconds: float) -> str:
    """The output of the commit's command. Raises LocalProblem if it fails or takes longer than `seconds`."""
    program = checkout.folder / ".venv" / "bin" / "shouwang"
    done = run([str(program), *words], cwd=checkout.folder, env=checkout.environment(home), seconds=seconds)
    if done.returncode != 0:
        output = tail(done.stdout + done.stderr)
        raise LocalProblem(f"`shouwang {words[0]}` of {checkout.label} failed; logs in {home / 'logs'}:\n{output}")
    return done.stdout


def discard(home: Path, *, logs: bool = False, stop: Callable[[int], None] = processes.kill) -> None:
    """Stop all processes that still run on a home and remove its data. `logs`: remove the whole home."""
    supervisor = home / "run" / "supervisor.pid"
    for file in (supervisor, *sorted((home / "run").glob("*.pid"))):  # the supervisor would restart the others
        pid = processes.living_pid(file)
        if pid is not None:
            stop(pid)
    for name in DATA:
        shutil.rmtree(home / name, ignore_errors=True)
    if logs:
        shutil.rmtree(home, ignore_errors=True)
