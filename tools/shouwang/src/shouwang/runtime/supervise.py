"""The supervisor process, which `shouwang up` starts. It restarts dead processes with increasing delays."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from shouwang.runtime.lifecycle import exclusive
from shouwang.runtime.machine import Runtime
from shouwang.runtime.ports import PortPolicy
from shouwang.runtime.problems import LocalProblem

LOOK_EVERY_SECONDS = 1.0
WAIT_SECONDS_MAX = 30.0
HEALTHY_AFTER_SECONDS = 60.0
GRANT_EVERY_SECONDS = 600.0


@dataclass(slots=True)
class Backoff:
    """The shortest time between two starts of one process: 1, 2, 4 … 30 s.

    After HEALTHY_AFTER_SECONDS without a start, the next start is immediate and the time is 1 s again.
    """

    wait_seconds: float = 1.0
    started_at: float = float("-inf")

    def may_start(self, now: float) -> bool:
        """Decide whether the process may start now; True is counted as a start. `now`: monotonic seconds."""
        if now - self.started_at > HEALTHY_AFTER_SECONDS:
            self.wait_seconds = 1.0
        elif now - self.started_at < self.wait_seconds:
            return False
        else:
            self.wait_seconds = min(self.wait_seconds * 2, WAIT_SECONDS_MAX)
        self.started_at = now
        return True


def watch(runtime: Runtime) -> None:
    """Check PostgreSQL, Kafka and the services once a second, without replicas, and start a dead one again. Every ten
    minutes, remove the users of Kafka that the registers no longer permit.

    It never returns; `shouwang down` or an unexpected error ends this process.
    """
    backoffs = {name: Backoff() for name in ["postgres", "kafka", *(p.name for p in runtime.processes)]}
    granted_at = time.monotonic()  # by `shouwang up`
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        if time.monotonic() - granted_at > GRANT_EVERY_SECONDS:
            granted_at = time.monotonic()
            update_grants(runtime)
        for name, backoff in backoffs.items():
            if is_missing(runtime, name) and backoff.may_start(time.monotonic()):
                _repair(runtime, name)


def update_grants(runtime: Runtime) -> None:
    """Bring users and grants of the local broker up to date. A LocalProblem is only logged."""
    if not runtime.kafka_users.is_local:
        return
    with exclusive(runtime):
        try:
            done = runtime.grant_kafka()
        except LocalProblem as problem:
            _log(str(problem))
            return
    if done.deleted:
        _log(f"these users of Kafka have ended: {', '.join(done.deleted)}")


def is_missing(runtime: Runtime, name: str) -> bool:
    """True if the process has died. Without a pid file it was never started, or it was stopped by a command."""
    if not runtime.pid_file(name).exists():
        return False
    return not runtime.kafka_runs() if name == "kafka" else runtime.pid(name) is None


def _repair(runtime: Runtime, name: str) -> None:
    """Start the process again if it is still missing. A LocalProblem is only logged."""
    with exclusive(runtime):
        if not is_missing(runtime, name):
            return
        _log(f"{name} died, starting it again")
        try:
            if name == "postgres":
                runtime.start_postgres()
            elif name == "kafka":
                runtime.start_kafka()
            else:
                runtime.start_service(name)
        except LocalProblem as problem:
            _log(str(problem))


def _log(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}", flush=True)


if __name__ == "__main__":
    watch(Runtime(Path(sys.argv[1]), ports=cast("PortPolicy", sys.argv[2])))
