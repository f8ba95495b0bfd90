"""A pytest plugin: tests cannot use the caller's environment, other programs or the data of the checkout.

It does three things before any test module is imported, and in every worker process:

- It removes variables that could name real stores (`SHOUWANG_…`, `CRASH_…`, `PG…`), except those in KEPT.
- It sets a temporary SHOUWANG_HOME, and removes that folder at the end. Tests may move the clock
  (SHOUWANG_TIME_TRAVEL). The fixture `demonstration` sets demonstration mode for one test. Services of tests run with
  normal priority; on a busy machine they would otherwise get almost no processor time.
- It checks connections, listeners, child processes and opened files. A test fails if it uses a fixed port, another
  machine, or data of the checkout's default home.

It checks Python code of the test process only. For a child process it checks the command and the environment.
"""

from __future__ import annotations

import importlib
import ipaddress
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.ports import KAFKA_PORT, POSTGRES_PORT_PREFERRED
from shouwang.runtime.processes import FREE_PORTS
from shouwang.runtime.services import load_processes

REMOVED_PREFIXES: Final = ("SHOUWANG_", "CRASH_", "PG")
# Sizes, seeds, tested services, folders of pictures and downloads, and the address of a PostgreSQL for tests.
KEPT: Final = frozenset(
    {
        "SHOUWANG_CASES",
        "SHOUWANG_FAULTS_SEED",
        "SHOUWANG_FIGURES",
        "SHOUWANG_FUZZ_SERVICES",
        "SHOUWANG_JARS",
        "SHOUWANG_KILLS",
        "SHOUWANG_PICTURES",
        "SHOUWANG_REQUESTS",
        "SHOUWANG_TEST_POSTGRES",
        "SHOUWANG_TEST_TABLE_ROWS",
    }
)
DEFAULT_HOME: Final = str(REPOSITORY / ".shouwang")
SHARED_BY_TESTS: Final = ("jars", ".jars.lock", "test-postgres")  # in the default home, but not its data
POSTGRES_DEFAULT_PORT: Final = 5432
NAMED_PORTS: Final = frozenset(
    {
        KAFKA_PORT,
        POSTGRES_PORT_PREFERRED,
        POSTGRES_DEFAULT_PORT,
        *(process.port for process in load_processes()),
    }
)
SYSTEM_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NotIsolated(Exception):
    """A test has used something that other programs or users of this machine also use."""


# -- rules


def first_free_port() -> int:
    """The lowest port that the runtime or the system chooses at random. Every lower port in use is a fixed one."""
    try:
        return min(FREE_PORTS.start, int(SYSTEM_RANGE.read_text(encoding="ascii").split()[0]))
    except (OSError, ValueError, IndexError):
        return FREE_PORTS.start


FIRST_FREE_PORT: Final = first_free_port()


def wrong_address(address: object) -> str | None:
    """The reason why a test may not use this socket address; None if it may."""
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[1], int):
        return None  # a socket in the file system
    host, port = str(address[0]), address[1]
    if (host, port) == _given_database():
        return None
    if not _is_here(host):
        return f"{host} is another machine"
    if port in NAMED_PORTS or 0 < port < FIRST_FREE_PORT:
        return f"port {port} is fixed: another program may use it"
    return None


def wrong_child(command: Sequence[str], env: Mapping[str, str]) -> str | None:
    """The reason why a test may not start this child process; None if it may."""
    settings = [value for name, value in env.items() if name.startswith("SHOUWANG_")]
    for text in (*command, *settings):
        if port := _fixed_port(text):
            return f"a child process gets the fixed port {port}"
    is_ours = any(Path(word).name.startswith(("python", "shouwang")) for word in command[:1])
    if is_ours and env.get("SHOUWANG_HOME", DEFAULT_HOME) == DEFAULT_HOME:
        return "a child process has no SHOUWANG_HOME of its own"
    return None


def _fixed_port(text: str) -> str | None:
    """The fixed port in an argument, an address or a URL; None if there is none."""
    ports = "|".join(str(port) for port in sorted(NAMED_PORTS))
    found = re.fullmatch(rf"(?:.*[:=])?({ports})/?", text)
    return found[1] if found else None


def wrong_file(path: object) -> str | None:
    """The reason why a test may not open this file; None if it may."""
    if not isinstance(path, str) or ".shouwang" not in path:
        return None
    full = os.path.abspath(path)
    if not full.startswith(DEFAULT_HOME + os.sep):
        return None
    inside = full[len(DEFAULT_HOME) + 1 :].split(os.sep)[0]
    return None if inside in SHARED_BY_TESTS else f".shouwang/{inside} is data of the default home"


def _given_database() -> tuple[str | None, int | None]:
    """Host and port of the test server in SHOUWANG_TEST_POSTGRES; None and None without one."""
    given = urlsplit(os.environ.get("SHOUWANG_TEST_POSTGRES", ""))
    return given.hostname, given.port


def _is_here(host: str) -> bool:
    """True for the loopback interface and, for a listener, all interfaces."""
    if host in ("", "localhost"):
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


# -- the audit hook


class Guard:
    """An audit hook of Python that raises NotIsolated for a forbidden operation.

    It keeps the reasons, because the code under test may catch the exception.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self.is_on = True
        self.home: str | None = None  # the temporary one of this process

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Check one operation. Python calls this before the operation, and an exception prevents it."""
        if not self.is_on:
            return
        wrong = None
        if event in ("socket.connect", "socket.bind"):
            wrong = wrong_address(arguments[1])
        elif event == "open":
            wrong = wrong_file(arguments[0])
        elif event == "subprocess.Popen":
            wrong = _wrong_popen(*arguments)
        if wrong is not None:
            self.found.append(wrong)
            raise NotIsolated(wrong)

    def take(self) -> list[str]:
        """Return the reasons since the last call and forget them."""
        found, self.found = self.found, []
        return found


def _wrong_popen(executable: Any, command: Any, folder: Any, env: Any) -> str | None:
    words = [command] if isinstance(command, str | bytes | os.PathLike) else list(command)
    given = os.environ if env is None else {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
    return wrong_child([os.fsdecode(word) for word in words], given)


_guard = Guard()


# -- pytest


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Set the environment before the first conftest, and so before any setting is read."""
    for name in [name for name in os.environ if name.startswith(REMOVED_PREFIXES) and name not in KEPT]:
        del os.environ[name]
    os.environ["SHOUWANG_STEP_BACK"] = "0"
    os.environ["SHOUWANG_TIME_TRAVEL"] = "1"
    _guard.home = os.environ["SHOUWANG_HOME"] = tempfile.mkdtemp(prefix="shouwang-tests-")
    sys.addaudithook(_guard)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Remove the temporary home."""
    _guard.is_on = False
    if _guard.home is not None:
        shutil.rmtree(_guard.home, ignore_errors=True)


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    """Fail a test that has used something shared, also if the code under test has caught the exception.

    The environment variables of the platform (REMOVED_PREFIXES) get the values back that they had before the test.
    """
    before = _settings()
    yield
    if _settings() != before:
        _restore(before)
    found = _guard.take()
    if found:
        pytest.fail("; ".join(sorted(set(found))))


@pytest.fixture
def demonstration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set SHOUWANG_DEMO=1 in this process for one test."""
    settings = importlib.import_module("shell.settings").settings
    monkeypatch.setenv("SHOUWANG_DEMO", "1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections: it is bound, and nothing listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(REMOVED_PREFIXES)}


def _restore(before: Mapping[str, str]) -> None:
    for name in _settings():
        if name not in before:
            del os.environ[name]
    os.environ.update(before)
    if module := sys.modules.get("shell.settings"):
        module.settings.cache_clear()
