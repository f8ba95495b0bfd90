"""Starts a fresh platform for one measurement, with its own folder and ports, and removes it afterwards."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import REPOSITORY

from benchmarks.people import Events

Report = Callable[[str], None]  # takes lines of progress
Tokens = Mapping[str, str]  # by source
HOMES = REPOSITORY / ".shouwang" / "bench"


def progress(line: str) -> None:
    """Print a line of progress at once."""
    print(line, flush=True)


@contextmanager
def fresh_home(name: str) -> Iterator[Path]:
    """The path of the home of this process and of all that it starts. The folder does not exist yet: that of an earlier
    run is removed. At the end nothing is removed."""
    home = HOMES / name
    _discard(home)
    before = os.environ.get("SHOUWANG_HOME")
    os.environ["SHOUWANG_HOME"] = str(home)
    try:
        yield home
    finally:
        if before is None:
            del os.environ["SHOUWANG_HOME"]
        else:
            os.environ["SHOUWANG_HOME"] = before


def _discard(home: Path) -> None:
    if home.exists():
        Runtime(home, ports="free").stop_all()  # a killed run may have left processes
        shutil.rmtree(home)


@contextmanager
def stores(home: Path) -> Iterator[Runtime]:
    """Kafka and PostgreSQL with topics and tables, without a service. At the end all stops and the data is removed."""
    runtime = Runtime(home, ports="free")
    runtime.mark_demo()  # all lists are in force and all amounts are paid, so every part has its full work
    try:
        runtime.start_stores()
        runtime.migrate()
        runtime.create_topics()
        yield runtime
    finally:
        runtime.stop_all()
        for folder in ("kafka", "postgres"):
            shutil.rmtree(home / folder, ignore_errors=True)


@contextmanager
def platform(home: Path, env: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Runtime]:
    """Stores and every service, ready. `env`: extra environment variables by service."""
    started = time.monotonic()
    with stores(home) as runtime:
        _start_services(runtime, env or {})
        progress(f"  services ready after {time.monotonic() - started:.0f} s")
        yield runtime


def _start_services(runtime: Runtime, env: Mapping[str, Mapping[str, str]]) -> None:
    names = [process.name for process in runtime.processes]
    for name in names:
        runtime.start_service(name, env=env.get(name))
    for name in names:
        runtime.wait_ready(name)


def stateful(runtime: Runtime) -> list[str]:
    """The running services that have a database."""
    running = runtime.running()
    return [process.name for process in runtime.processes if process.database and process.name in running]


async def connect(runtime: Runtime, service: str) -> asyncpg.Connection:
    """A connection to the database of a service. The caller closes it."""
    return await asyncpg.connect(runtime.database_url(service), server_settings={"search_path": service})


async def fetch(runtime: Runtime, service: str, statement: str, *values: object) -> list[asyncpg.Record]:
    """The rows of one statement in the database of a service."""
    connection = await connect(runtime, service)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
        return rows
    finally:
        await connection.close()


def admin_token() -> str:
    """A token of this home for an administrator."""
    from shell.access.auth import issue_token  # the import reads SHOUWANG_HOME

    return issue_token("admin")


def tokens(events: Events) -> Tokens:
    """A token of this home for every source of `events`."""
    from shell.access.auth import issue_token  # the import reads SHOUWANG_HOME

    return {source: issue_token("source", source=source) for source in {event.source for event in events}}
