"""Starts and ends processes that outlive their starter. Their pid files detect a reused pid.

A pid file contains `<pid> <start time>`. The process is alive only if both match. So a file that a crash or a reboot
has left is recognised as *stale*.
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
    """Return `<pid> <start time>` of a running process, None for a dead one or a zombie.

    A killed process is a zombie as soon as its first thread has ended. While other threads run, it holds its memory and
    its ports, so it counts as running.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
            return None
        return f"{pid} {process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def is_alive(recorded: str) -> bool:
    """True if the process recorded as `<pid> <start time>` still runs."""
    try:
        pid, started = recorded.split()
        found = identity(int(pid))
    except ValueError:
        return False
    return found is not None and abs(float(found.split()[1]) - float(started)) < START_TIME_TOLERANCE_SECONDS


def living_pid(pid_file: Path) -> int | None:
    """The pid in the file if its process runs; None for a stale or missing file."""
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
    """Start a process in its own session; returns its pid. It outlives the caller.

    Its output is appended to `log`, its identity is written to `pid_file`. Only the owner can read the files that it
    creates. `nice`: its nice value.
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
        _set_nice(child.pid, nice)
    write_atomically(pid_file, identity(child.pid) or f"{child.pid} 0")
    child.returncode = 0  # prevents Python's warning about a running child; the pid file replaces this object
    return child.pid


def _set_nice(pid: int, nice: int) -> None:
    """Set the nice value of a process before it has threads, and of its session where Linux schedules sessions."""
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    wait_until(lambda: _is_written(Path(f"/proc/{pid}/autogroup"), str(nice)), SESSION_SECONDS_MAX)


def _is_written(path: Path, text: str) -> bool:
    """Write the text; False if the caller must retry, because Linux limits such changes to ten a second for a user."""
    try:
        path.write_text(text, encoding="ascii")
    except BlockingIOError:
        return False
    except OSError:  # the system has no such file, or the process has ended
        return True
    return True


def reap(pid: int) -> None:
    """Collect the exit status of a child process, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def wait_until(observed: Callable[[], bool], seconds: float, *, every_seconds: float = 0.03) -> bool:
    """Poll until `observed()` is true; False if the deadline passes first."""
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
    """Poll until `ready()` is true; False if `gone()` is true or the deadline passes first.

    The result of the last poll is returned. A second call of `ready()` could differ, because a store may be away again.
    """
    was_ready = False

    def has_ended() -> bool:
        nonlocal was_ready
        was_ready = ready()
        return was_ready or gone()

    wait_until(has_ended, seconds, every_seconds=every_seconds)
    return was_ready


def is_gone(pid: int) -> bool:
    """True if the process has ended. A zombie has ended."""
    reap(pid)
    return identity(pid) is None


def stop(pid: int, *, seconds: float, with_signal: int = signal.SIGTERM) -> None:
    """Send a signal and wait until the process has ended; kill it if it has not ended after `seconds`."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, with_signal)
    if not wait_until(lambda: is_gone(pid), seconds):
        kill(pid)


def kill(pid: int) -> None:
    """Send SIGKILL to the process and its descendants, and wait until they have ended. Raises LocalProblem
    if one does not end."""
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
    """The last error in a log, with the last lines of its traceback; empty if there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    begins = [at for at, line in enumerate(lines) if line.startswith("ERROR:") or " ERROR " in line[:40]]
    if not begins:
        return ""
    trace = takewhile(lambda line: not line[:4].isdigit(), lines[begins[-1] + 1 :])
    return "\n".join([lines[begins[-1]], *list(trace)[-LOG_TAIL_LINES:]])


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1. Raises LocalProblem if none is found.

    The port is below the range of the system for outgoing connections, so a restarted server finds it free.
    """
    for port in random.sample(FREE_PORTS, 1_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LocalProblem(
        f"No free port between {FREE_PORTS.start} and {FREE_PORTS.stop} was found: stop programs that listen there."
    )


def accepts(host: str, port: int) -> bool:
    """True if a program accepts connections on this address."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def is_listening(port: int) -> bool:
    """True if a program accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        return bool(probe.getsockname() != probe.getpeername())  # equal: connected to itself


def listener(port: int) -> str:
    """Return the program that listens on the port, such as `nginx, pid 17`; `another program` if it is unknown."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.pid and getattr(connection.laddr, "port", None) == port:
                return f"{psutil.Process(connection.pid).name()}, pid {connection.pid}"
    return "another program"


def require_free(port: int, wanted_by: str, instead: str) -> None:
    """Raise LocalProblem if a program listens on the port. `instead`: another solution for the user."""
    if is_listening(port):
        raise LocalProblem(
            f"Port {port}, which {wanted_by} needs, is taken by {listener(port)}: stop that program, or {instead}."
        )
