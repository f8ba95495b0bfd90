"""Runs Kafka, PostgreSQL and the services of one home on one machine: start, stop, kill, read logs.

The commands, the tests and the benchmarks use this class. It is synchronous and keeps no state in memory: two instances
on one home see the same processes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from shouwang.runtime import processes
from shouwang.runtime.paths import REPOSITORY, default_home
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores, process_name

READY_SECONDS_MAX = 180  # a dead service is reported at once; on a busy machine a start takes minutes
ANSWERS_SECONDS_MAX = 10  # time for open requests before a service stops
STOP_SECONDS_MAX = 20
HTTP = "shell.http.connections:LimitedHttp"  # as in the Dockerfile
LOGGED_AFTER_SECONDS = 0.5  # an error is logged after its answer is sent


class Runtime(Stores):
    """The processes of one home. `Stores` has the operations on Kafka and PostgreSQL."""

    # -- services

    def start_service(self, name: str, replica: int = 0, env: Mapping[str, str] | None = None) -> int:
        """Start a service's process unless it lives; returns its pid at once (see `wait_ready`).

        `env` is added to the environment; `replica` > 0 starts one more process on its own port. Each process has a
        unique name. So it is a static member of its consumer group, and its restart causes no rebalance.
        """
        process = process_name(name, replica)
        living = self.pid(name, replica)
        if living is not None:
            return living
        port = self._free_port(process)
        return processes.spawn(
            _uvicorn(name, port),
            log=self.log_file(process),
            pid_file=self.pid_file(process),
            env={**self.environment(name), **_member(process, replica), **(env or {})},
            nice=self.nice_of(name),
        )

    def _free_port(self, process: str) -> int:
        """The port of a process. Raises LocalProblem if it is fixed and taken."""
        port = self.ports.get(process)
        if self.ports.policy == "free" and processes.is_listening(port):
            self.ports.forget(process)
            port = self.ports.get(process)
        processes.require_free(port, process, "set SHOUWANG_HOME to another folder, which uses other ports")
        return port

    def nice_of(self, name: str) -> int:
        """The nice value of a service by `processes.yaml`; always 0 with SHOUWANG_STEP_BACK=0."""
        if os.environ.get("SHOUWANG_STEP_BACK") == "0":
            return 0
        return next((process.nice for process in self.processes if process.name == name), 0)

    def is_ready(self, name: str, replica: int = 0) -> bool:
        """True if `GET /readyz` answers 200 and its body has `ready: true`."""
        try:
            answer = httpx.get(f"{self.service_url(name, replica)}/readyz", timeout=2, trust_env=False)
            return answer.status_code == 200 and answer.json()["ready"] is True
        except (httpx.HTTPError, ValueError):
            return False

    def wait_ready(self, name: str, replica: int = 0, seconds: float = READY_SECONDS_MAX) -> None:
        """Wait until the process is ready. Raises LocalProblem with the end of its log if it dies or takes too long."""
        started = processes.wait_for_start(
            lambda: self.is_ready(name, replica),
            lambda: self.pid(name, replica) is None,
            seconds,
            every_seconds=0.1,
        )
        if not started:
            state = "died"
            if self.pid(name, replica) is not None:
                state = f"was not ready within {seconds:.0f} s ({self._not_ready_reason(name, replica)})"
            log = self.log_file(process_name(name, replica))
            raise LocalProblem(f"{name} {state}; its log {log} ends:\n{processes.log_tail(log)}")

    def _not_ready_reason(self, name: str, replica: int) -> str:
        """Return the answer of `/readyz`, which names the parts that do not run, or the name of the HTTP error."""
        try:
            answer = httpx.get(f"{self.service_url(name, replica)}/readyz", timeout=2, trust_env=False)
        except httpx.HTTPError as error:
            return type(error).__name__
        return answer.text[:500]

    # -- any process by its name: a service, `kafka` or `postgres`

    def stop(self, name: str, replica: int = 0) -> None:
        """Shut the process down gracefully. Does nothing if it does not run."""
        if name == "kafka":
            self.stop_kafka()
        elif name == "postgres":
            self.stop_postgres()
        else:
            pid = self.pid(name, replica)
            if pid is not None:
                processes.stop(pid, seconds=STOP_SECONDS_MAX)
            self.pid_file(process_name(name, replica)).unlink(missing_ok=True)

    def kill(self, name: str, replica: int = 0) -> None:
        """Send SIGKILL to the process. Does nothing if it does not run."""
        if name == "kafka":
            self.kill_kafka()
        elif name == "postgres":
            self.kill_postgres()
        else:
            pid = self.pid(name, replica)
            if pid is not None:
                processes.kill(pid)

    def pid(self, name: str, replica: int = 0) -> int | None:
        """The pid of the process, None if it does not run."""
        return processes.living_pid(self.pid_file(process_name(name, replica)))

    def logs(self, name: str, replica: int = 0) -> str:
        """The whole log of the process."""
        log = self.log_file(process_name(name, replica))
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def complaints(self) -> str:
        """Return the last logged error of every process as text, for the report of a test with a temporary home."""
        time.sleep(LOGGED_AFTER_SECONDS)
        found = {log.stem: processes.last_error(log) for log in sorted((self.home / "logs").glob("*.log"))}
        return "\n".join(f"{process} logged last: {error}" for process, error in found.items() if error)

    def running(self) -> dict[str, int]:
        """Return the pids of the running processes by name (`dispatch-1` for replica 1 of dispatch)."""
        found = {file.stem: processes.living_pid(file) for file in sorted(self.run.glob("*.pid"))}
        return {name: pid for name, pid in found.items() if pid is not None}

    def start_all(self) -> None:
        """Start everything without printing progress, for tests. Raises LocalProblem."""
        self.start_stores(with_tables=True)
        self.create_topics()
        for process in self.processes:
            self.start_service(process.name)
        for process in self.processes:
            self.wait_ready(process.name)

    def stop_all(self) -> None:
        """Stop the services, then Kafka, then PostgreSQL; the data stays."""
        for name, pid in self.running().items():
            if name == "supervisor":
                processes.stop(pid, seconds=STOP_SECONDS_MAX)
        with ThreadPoolExecutor(8) as pool:
            services = [name for name in self.running() if name not in {"supervisor", "kafka", "postgres"}]
            list(pool.map(self._stop_process, reversed(services)))
        self.stop_kafka()
        self.stop_postgres()

    def _stop_process(self, process: str) -> None:
        name, _, replica = process.partition("-")
        self.stop(name, int(replica or 0))


def _uvicorn(service: str, port: int) -> list[str]:
    """The command that runs a service."""
    options = ["--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", HTTP]
    options += ["--timeout-graceful-shutdown", str(ANSWERS_SECONDS_MAX)]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "uvicorn", *address, *options, f"{service}.main:app"]


def _member(process: str, replica: int) -> dict[str, str]:
    """The variables that make the process a static member of its Kafka consumer group."""
    return {"SHOUWANG_REPLICA": str(replica), "SHOUWANG_MEMBER": process}


def local_runtime() -> Runtime:
    """Return the runtime of the home that commands use. The default home has fixed ports, any other home free ones."""
    home = default_home()
    is_default = home == (REPOSITORY / ".shouwang").resolve()
    return Runtime(
        home, ports="fixed" if is_default else "free", say=lambda line: print(f" {line} …", end="", flush=True)
    )
