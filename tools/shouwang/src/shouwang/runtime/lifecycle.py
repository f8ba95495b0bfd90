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
    """A lock: only one of `up`, `down` and the supervisor's repair runs at a time."""
    with open(make_private(runtime.run) / "lock", "w", opener=open_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Print the begin of a step, and its duration at the end."""
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def up(runtime: Runtime, *, business_time: str | None = None, with_services: bool = True) -> None:
    """Start the processes that do not run. SHOUWANG_DEMO=1 makes a new home a demonstration's. Raises LocalProblem."""
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
    """Stop everything in order; the data stays."""
    pid = runtime.pid("supervisor")
    if pid is not None:
        processes.stop(pid, seconds=5)  # before the lock: a running repair holds it and would restart processes
    runtime.pid_file("supervisor").unlink(missing_ok=True)
    with exclusive(runtime):
        names = list(runtime.running())
        runtime.stop_all()
    say(f"stopped: {', '.join(names) or 'nothing ran'}; the data stays in {runtime.home}")


def status(runtime: Runtime) -> bool:
    """Print one line per process; True if all are ready."""
    ready = _readiness(runtime)
    ports = runtime.ports.all()
    for name, is_ready in ready.items():
        pid = processes.living_pid(runtime.pid_file(name))
        state = "ready" if is_ready else "starting" if pid else "down"
        print(f"{name:<15} {state:<9} port {ports.get(name, '-'):<6} pid {pid or '-'}")
    print(f"business time   {clock.shown(runtime.home)}")
    return all(ready.values())


def _readiness(runtime: Runtime) -> dict[str, bool]:
    """Ready or not, by name of the process."""
    ready = {"postgres": runtime.postgres().is_ready(), "kafka": runtime.kafka_answers()}
    for process in runtime.processes:
        ready[process.name] = runtime.is_ready(process.name)
    for file in sorted(runtime.run.glob("*-[0-9].pid")):
        name, _, replica = file.stem.partition("-")
        ready[file.stem] = runtime.is_ready(name, int(replica))
    ready["supervisor"] = runtime.pid("supervisor") is not None
    return ready


def _require_free_service_ports(runtime: Runtime) -> None:
    """Raise LocalProblem for a taken port before anything is started."""
    if runtime.ports.policy != "fixed":
        return
    for process in runtime.processes:
        if runtime.pid(process.name) is None:
            port = runtime.ports.get(process.name)
            processes.require_free(port, process.name, "set SHOUWANG_HOME to another folder, which uses other ports")


def _start_stores(runtime: Runtime, with_services: bool) -> None:
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
