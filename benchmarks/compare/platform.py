"""The platform of one commit, started, asked for tokens and stopped by that commit's own command `shouwang`.

The comparing checkout reads three things of it: `run/ports.json`, `run/*.pid`, and the stores behind those ports.
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

from benchmarks.compare.checkout import Checkout, run
from benchmarks.usage import cpu_seconds

UP_TRIES = 4  # on a busy machine a service may need longer than `up` waits; the next `up` goes on with it
UP_SECONDS_MAX = 1_200  # a commit with another Kafka downloads it first
DOWN_SECONDS_MAX = 120
TOKEN_SECONDS_MAX = 60
LOG_LINES = 12
DATA = ("kafka", "postgres", "keys")


class Cost(NamedTuple):
    """User and system seconds of a process and its descendants since their start."""

    pid: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. `runtime` only finds its ports and processes: it starts and stops nothing here."""

    checkout: Checkout
    runtime: Runtime

    def token(self, *words: str) -> str:
        """A token by the commit's own rules: `token("--role", "admin")`."""
        return shouwang(self.checkout, self.runtime.home, "token", *words, seconds=TOKEN_SECONDS_MAX).strip()

    def costs(self) -> dict[str, Cost]:
        """Processor time of each process so far: services, supervisor, postgres and kafka."""
        return {name: Cost(pid, cpu_seconds(pid)) for name, pid in self.runtime.running().items()}


@contextmanager
def platform(checkout: Checkout, home: Path) -> Iterator[Platform]:
    """Start everything on a fresh home; at the end stop it and remove the data. The logs stay until the next run."""
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
    for left in reversed(range(UP_TRIES)):
        try:
            shouwang(checkout, home, "up", seconds=UP_SECONDS_MAX)
        except LocalProblem:
            if not left:
                raise
        else:
            return


def shouwang(checkout: Checkout, home: Path, *words: str, seconds: float) -> str:
    """The output of the commit's command. Raises LocalProblem if it fails or takes longer than `seconds`."""
    program = checkout.folder / ".venv" / "bin" / "shouwang"
    done = run([str(program), *words], cwd=checkout.folder, env=checkout.environment(home), seconds=seconds)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-LOG_LINES:])
        raise LocalProblem(f"`shouwang {words[0]}` of {checkout.label} failed; logs in {home / 'logs'}:\n{tail}")
    return done.stdout


def discard(home: Path, *, logs: bool = False, stop: Callable[[int], None] = processes.kill) -> None:
    """Stop all processes that still run on a home and remove its data, with `logs` all of it."""
    for file in sorted((home / "run").glob("supervisor.pid")) + sorted((home / "run").glob("*.pid")):
        pid = processes.living_pid(file)  # the supervisor first: it would restart the others
        if pid is not None:
            stop(pid)
    for name in DATA:
        shutil.rmtree(home / name, ignore_errors=True)
    if logs:
        shutil.rmtree(home, ignore_errors=True)
