"""A PostgreSQL server that all test processes of this checkout share.

A *user* is a process that called `shared_postgres`. The first user starts the server. A watcher process kills it and
deletes its data a few seconds after the last user has ended, even if that user was killed. The server does not fsync,
so its data is not durable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from shouwang.runtime import processes
from shouwang.runtime.paths import REPOSITORY, open_private, write_atomically
from shouwang.runtime.postgres import Postgres

FOLDER = REPOSITORY / ".shouwang" / "test-postgres"
WATCH_EVERY_SECONDS = 1.0
LINGER_SECONDS = 3.0


def shared_postgres(folder: Path = FOLDER) -> str:
    """Start the shared server if needed; returns its base URL, `postgresql://postgres@127.0.0.1:PORT`.

    The calling process is a user until it ends. Several processes may call at the same time.
    """
    with _locked(folder):
        server = _server(folder)
        if server is None or not server.is_ready():
            server = _start_empty(folder)
        me = processes.identity(os.getpid())
        write_atomically(folder / "users" / str(os.getpid()), me or "")
        if processes.living_pid(folder / "watcher.pid") is None:
            command = [sys.executable, "-m", "shouwang.testing", str(folder)]
            processes.spawn(command, log=folder / "watcher.log", pid_file=folder / "watcher.pid")
        return server.url


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", opener=open_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _server(folder: Path) -> Postgres | None:
    """The server on the port that is stored in the folder, running or not; None without a stored port."""
    try:
        port = int((folder / "port").read_text())
    except (OSError, ValueError):
        return None
    return Postgres(folder / "data", port=port, log=folder / "log", pid_file=folder / "postgres.pid", durable=False)


def _start_empty(folder: Path) -> Postgres:
    """Delete the old cluster and start an empty one, because a crash without fsync can damage the old one."""
    _delete(folder)
    write_atomically(folder / "port", str(processes.free_port()))
    server = _server(folder)
    assert server is not None
    server.start()
    return server


def _delete(folder: Path) -> None:
    server = _server(folder)
    if server is not None:
        server.kill()  # its data is not needed
    for name in ("data", "users"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("port", "postgres.pid", "log"):
        (folder / name).unlink(missing_ok=True)


def _has_users(folder: Path) -> bool:
    users = [path.read_text() for path in folder.glob("users/[0-9]*")]
    return any(processes.is_alive(user) for user in users)


def _watch(folder: Path) -> None:
    """Wait until the server has had no user for LINGER_SECONDS, then stop it and delete its data.

    The delay keeps it for the next test run, which often follows soon.
    """
    unused_since: float | None = None
    while True:
        time.sleep(WATCH_EVERY_SECONDS)
        with _locked(folder):
            if _has_users(folder):
                unused_since = None
                continue
            unused_since = unused_since or time.monotonic()
            if time.monotonic() - unused_since >= LINGER_SECONDS:
                _delete(folder)
                (folder / "watcher.pid").unlink(missing_ok=True)
                return


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
