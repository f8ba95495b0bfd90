"""Child processes that outlive their starter: pid files that cannot be fooled by a re-used pid.

A pid file holds `<pid> <start time>`; a process counts as alive only when both agree, so a file left by a
crash (or by a reboot) is simply stale.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import psutil

from shouwang.runtime.paths import PRIVATE_UMASK, make_private, open_private, write_atomically
from shouwang.runtime.problems import LocalProblem

START_TIME_TOLERANCE_SECONDS = 2.0
LOG_TAIL_LINES = 12
SESSION_SECONDS_MAX = 1.0
# Below the range from which the system takes ports for outgoing connections.
FREE_PORTS = range(15_000, 32_000)


def identity(pid: int) -> str | None:
    """`<pid> <start time>` of a living process, None for a dead one or a zombie.

    A killed Java or PostgreSQL is a zombie from the moment its first thread has ended; while others are still ending
    it holds its memory and its ports, so until then it lives.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return None
        return f"{pid} {process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def is_alive(recorded: str) -> bool:
    """Is the process written down as `<pid> <start time>` still that same process?"""
    try:
        pid, started = recorded.split()
        found = identity(int(pid))
    except ValueError:
        return False
    return found is not None and abs(float(found.split()[1]) - float(started)) < START_TIME_TOLERANCE_SECONDS


def living_pid(pid_file: Path) -> int | None:
    """The pid in the file if its process lives; a stale file is the same as none."""
    try:
        recorded = pid_file.read_text(encoding="utf-8")
    except OSError:
        return None
    return int(recorded.split()[0]) if is_alive(recorded) else None


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    pid_file: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    nice: int = 0,
) -> int:
    """Start a process in a session of its own, its output appended to `log`, its identity in `pid_file`. Only their
    owner can read the files that it creates.

    Returns its pid. It lives on when the caller ends. `nice`: how far it steps back when others want the processor.
    """
    make_private(log.parent)
    with open(log, "ab", opener=open_private) as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )
    if nice:
        _step_back(child.pid, nice)
    write_atomically(pid_file, identity(child.pid) or f"{child.pid} 0")
    child.returncode = 0  # followed by its pid from here on; else Python warns that it "is still running"
    return child.pid


def _step_back(pid: int, nice: int) -> None:
    """Its threads inherit it. Where Linux weighs whole sessions against each other, so must its session."""
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    wait_until(lambda: _is_written(Path(f"/proc/{pid}/autogroup"), str(nice)), SESSION_SECONDS_MAX)


def _is_written(path: Path, text: str) -> bool:
    """False while the system says "again": it takes ten such changes a second from ordinary users."""
    try:
        path.write_text(text, encoding="ascii")
    except BlockingIOError:
        return False
    except OSError:  # no such system, or the process is gone, which its log will explain
        return True
    return True


def reap(pid: int) -> None:
    """Collect the exit status if the process was our own child, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def wait_until(observed: Callable[[], bool], seconds: float, *, every_seconds: float = 0.03) -> bool:
    """Poll until `observed()` holds; False when the deadline passes first."""
    deadline = time.monotonic() + seconds
    while True:
        if observed():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(every_seconds)


def wait_for_start(
    ready: Callable[[], bool], gone: Callable[[], bool], seconds: float, *, every_seconds: float = 0.03
) -> bool:
    """Poll until `ready()` holds; False when it is `gone()` or the deadline passes first. One look at readiness counts:
    what was ready a moment ago may be waiting for a store again."""
    seen = False

    def looked() -> bool:
        nonlocal seen
        seen = ready()
        return seen or gone()

    wait_until(looked, seconds, every_seconds=every_seconds)
    return seen


def is_gone(pid: int) -> bool:
    """Is there no such process any more (a zombie is gone)?"""
    reap(pid)
    return identity(pid) is None


def stop(pid: int, *, seconds: float, with_signal: int = signal.SIGTERM) -> None:
    """Ask the process to end, and kill it when it has not within `seconds`."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, with_signal)
    if not wait_until(lambda: is_gone(pid), seconds):
        kill(pid)


def kill(pid: int) -> None:
    """SIGKILL the process and all its descendants, and wait until they are gone."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for process in family:
        if not wait_until(lambda dying=process.pid: is_gone(dying), 10):  # type: ignore[misc]
            raise LocalProblem(f"Process {process.pid} does not end even when killed; look at it with `ps`.")


def log_tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-LOG_TAIL_LINES:])


def last_error(log: Path) -> str:
    """The last error in a log, with its trace; nothing if there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    begins = [at for at, line in enumerate(lines) if line.startswith("ERROR:") or " ERROR " in line[:40]]
    if not begins:
        return ""
    trace = takewhile(lambda line: not line[:4].isdigit(), lines[begins[-1] + 1 :])
    return "\n".join([lines[begins[-1]], *list(trace)[-LOG_TAIL_LINES:]])


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now.

    It lies below the range from which the system takes ports for outgoing connections, so that a server that
    is down for a moment finds its port still free.
    """
    for port in random.sample(FREE_PORTS, 1_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LocalProblem(
        f"No free port between {FREE_PORTS.start} and {FREE_PORTS.stop} was found: stop programs that listen there."
    )


def is_listening(port: int) -> bool:
    """Does anything accept connections on this port of 127.0.0.1?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        return bool(probe.getsockname() != probe.getpeername())  # else it has met itself: nobody listens


def listener(port: int) -> str:
    """Who listens on the port, for an error message: `nginx, pid 17`, or `another program`."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.pid and getattr(connection.laddr, "port", None) == port:
                return f"{psutil.Process(connection.pid).name()}, pid {connection.pid}"
    return "another program"


def require_free(port: int, wanted_by: str, instead: str) -> None:
    """Raise LocalProblem if the port is taken; `instead` names the other way out."""
    if is_listening(port):
        raise LocalProblem(
            f"Port {port}, which {wanted_by} needs, is taken by {listener(port)}: stop that program, or {instead}."
        )
