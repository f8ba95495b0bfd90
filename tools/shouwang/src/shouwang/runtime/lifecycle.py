"""Start, stop and show all processes of a home, with a line of progress per step."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import time
from collections.abc import Callable, Iterator

from shell.settings import settings

from shouwang.runtime import clock, processes
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import make_private, open_private, require_free_space

FREE_MIB_MIN = 2000


@contextlib.contextmanager
def exclusive(runtime: Runtime) -> Iterator[None]:
    """Hold a lock of the home: only one of `up`, `down` and the supervisor's repair runs at a time."""
    with open(make_private(runtime.run) / "lock", "w", opener=open_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Print the name of a step at its beginning, and its duration at its end."""
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def up(runtime: Runtime, *, business_time: str | None = None, with_services: bool = True) -> None:
    """Start the processes that do not run, and wait until they are ready. Raises LocalProblem.

    `business_time`: the first business time (ISO 8601), for a demonstration. SHOUWANG_DEMO=1 makes a new home the home
    of a demonstration.
    """
    require_free_space(runtime.home, FREE_MIB_MIN)
    with exclusive(runtime):
        if settings().demo:
            runtime.mark_demo()
        if business_time is not None:
            clock.begin_at(runtime.home, clock.parse_instant(business_time))
        if with_services:
            _require_free_service_ports(runtime)
        _start_stores(runtime, with_services)
        if with_services:
            _start_services(runtime)
            start_supervisor(runtime)
    print(f"Kafka {runtime.kafka_address}, business time {clock.shown(runtime.home)}, logs in {runtime.home / 'logs'}")
    if with_services:
        print(f"Open {runtime.service_url('console')} – `shouwang down` stops everything and keeps the data.")


def down(runtime: Runtime, say: Callable[[str], None] = print) -> None:
    """Stop the supervisor, the services, Kafka and PostgreSQL, in this order; the data stays."""
    pid = runtime.pid("supervisor")
    if pid is not None:
        processes.stop(pid, seconds=5)  # before the lock: a running repair holds it and would restart processes
    runtime.pid_file("supervisor").unlink(missing_ok=True)
    with exclusive(runtime):
        names = list(runtime.running())
        runtime.stop_all()
    say(f"stopped: {', '.join(names) or 'nothing ran'}; the data stays in {runtime.home}")


def status(runtime: Runtime) -> bool:
    """Print one line per process and the business time; returns True if all processes are ready."""
    ready = _readiness(runtime)
    ports = runtime.ports.all()
    for name, is_ready in ready.items():
        pid = processes.living_pid(runtime.pid_file(name))
        state = "ready" if is_ready else "starting" if pid else "down"
        print(f"{name:<15} {state:<9} port {ports.get(name, '-'):<6} pid {pid or '-'}")
    print(f"business time   {clock.shown(runtime.home)}")
    return all(ready.values())


def _readiness(runtime: Runtime) -> dict[str, bool]:
    """Whether each process is ready, by its name: stores, services, their replicas, supervisor. The cluster is left out
    if all databases are external."""
    ready = {"postgres": runtime.postgres().is_ready()} if runtime.needs_postgres else {}
    ready["kafka"] = runtime.kafka_answers()
    for process in runtime.processes:
        ready[process.name] = runtime.is_ready(process.name)
    for file in sorted(runtime.run.glob("*-[0-9].pid")):
        name, _, replica = file.stem.partition("-")
        ready[file.stem] = runtime.is_ready(name, int(replica))
    ready["supervisor"] = runtime.pid("supervisor") is not None
    return ready


def _require_free_service_ports(runtime: Runtime) -> None:
    """Raise LocalProblem if another program has the fixed port of a service that does not run."""
    if runtime.ports.policy != "fixed":
        return
    for process in runtime.processes:
        if runtime.pid(process.name) is None:
            port = runtime.ports.get(process.name)
            processes.require_free(port, process.name, "set SHOUWANG_HOME to another folder, which uses other ports")


def _start_stores(runtime: Runtime, with_services: bool) -> None:
    """Start PostgreSQL and Kafka and create topics. Migrates tables if services will be started."""
    # running services have up-to-date tables
    with_tables = with_services and not all(runtime.pid(process.name) for process in runtime.processes)
    with step("PostgreSQL with tables, Kafka" if with_tables else "PostgreSQL, Kafka"):
        runtime.start_stores(with_tables=with_tables)
    with step("topics"):
        runtime.create_topics()


def _start_services(runtime: Runtime) -> None:
    with step("services"):
        for process in runtime.processes:
            runtime.start_service(process.name)
    for process in runtime.processes:
        with step(process.name):
            runtime.wait_ready(process.name)


def start_supervisor(runtime: Runtime) -> None:
    """Start the supervisor process if it does not run."""
    if runtime.pid("supervisor") is None:
        processes.spawn(
            [sys.executable, "-m", "shouwang.runtime.supervise", str(runtime.home), runtime.ports.policy],
            log=runtime.log_file("supervisor"),
            pid_file=runtime.pid_file("supervisor"),
        )
