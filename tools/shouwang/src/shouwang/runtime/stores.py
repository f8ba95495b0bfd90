"""The stores of one home: its broker and its database cluster, with the topics, databases and tables in them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from shell.settings import settings

from shouwang.runtime import broker, processes
from shouwang.runtime.kafka import answers
from shouwang.runtime.paths import (
    PRIVATE_UMASK,
    close_to_others,
    default_home,
    demo_file,
    write_atomically,
)
from shouwang.runtime.ports import PortPolicy, Ports
from shouwang.runtime.postgres import Postgres
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.services import Process, load_processes

T = TypeVar("T")
MIGRATE_SECONDS_MAX = 120


class Stores:
    """Kafka and PostgreSQL of one home.

    `ports="fixed"` takes the public ports of the interface, `"free"` any. `SHOUWANG_KAFKA` and
    `SHOUWANG_DATABASE_URL_<SERVICE>` take the place of what would be started here.
    """

    def __init__(
        self,
        home: Path | None = None,
        ports: PortPolicy = "free",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.home = (home or default_home()).resolve()
        self.run = self.home / "run"
        self.say = say
        self.processes = load_processes()
        self.ports = Ports(self.run, ports, {process.name: process.port for process in self.processes})

    def log_file(self, process: str) -> Path:
        """Where a process writes what it prints."""
        return self.home / "logs" / f"{process}.log"

    def pid_file(self, process: str) -> Path:
        """Where a process's identity is written down."""
        return self.run / f"{process}.pid"

    @property
    def demo_file(self) -> Path:
        """It marks a home as a demonstration's, for good. Its content is the next free serial number of a person."""
        return demo_file(self.home)

    def mark_demo(self) -> None:
        """Mark the home; harmless when it is marked. Raises LocalProblem in a home that holds other data."""
        if self.demo_file.exists():
            return
        if (self.home / "postgres").exists():
            raise LocalProblem(
                f"{self.home} holds data that is no demonstration's, and a demonstration would pay example amounts in "
                "it: run `make clean` to remove it, or set SHOUWANG_HOME to another folder."
            )
        write_atomically(self.demo_file, "0")

    # -- Kafka

    @property
    def kafka_address(self) -> str:
        """`host:port` for clients."""
        return os.environ.get("SHOUWANG_KAFKA") or f"127.0.0.1:{self.ports.get('kafka')}"

    def broker(self) -> broker.Broker:
        """The broker of this home, whichever way it runs."""
        return broker.choose(self.home, self.ports, self.log_file("kafka"), self.pid_file("kafka"))

    def kafka_answers(self) -> bool:
        """Does the broker, ours or the given one, answer requests?"""
        host, _, port = self.kafka_address.split(",")[0].rpartition(":")
        return answers(int(port), host)

    def start_kafka(self) -> None:
        """Start the broker unless it answers already (or SHOUWANG_KAFKA names one)."""
        if "SHOUWANG_KAFKA" not in os.environ:
            self.broker().start(self.say)

    def stop_kafka(self) -> None:
        """Stop the broker in order; its data stays."""
        if self.pid_file("kafka").exists():
            self.broker().stop()

    def kill_kafka(self) -> None:
        """SIGKILL the broker."""
        self.broker().kill()

    def restart_kafka(self) -> None:
        """Stop in order and start again on the same port."""
        self.stop_kafka()
        self.start_kafka()

    # -- PostgreSQL

    def postgres(self) -> Postgres:
        """The one cluster of this home."""
        return Postgres(
            self.home / "postgres",
            port=self.ports.get("postgres"),
            log=self.log_file("postgres"),
            pid_file=self.pid_file("postgres"),
        )

    def start_postgres(self) -> None:
        """Start the cluster unless it is ready already (or every service has a database elsewhere)."""
        if not all(_elsewhere(process) for process in self.processes if process.database):
            server = self.postgres()
            if server.pid() is None and processes.is_listening(server.port):
                self.ports.forget("postgres")
            self.postgres().start()

    def stop_postgres(self) -> None:
        """Stop the cluster in order; its data stays."""
        if self.pid_file("postgres").exists():
            self.postgres().stop()

    def kill_postgres(self) -> None:
        """SIGKILL the cluster."""
        self.postgres().kill()

    def restart_postgres(self) -> None:
        """Stop in order and start again on the same port."""
        self.stop_postgres()
        self.start_postgres()

    def database_url(self, service: str) -> str:
        """`postgresql://…/<service>`."""
        given = os.environ.get(f"SHOUWANG_DATABASE_URL_{service.upper()}")
        return given or f"{self.postgres().url}/{service}"

    def create_databases(self) -> None:
        """One database per service that has one; harmless when they are there."""
        local = [process.name for process in self.processes if process.database and not _elsewhere(process)]
        if local:
            _finish(_create_databases(f"{self.postgres().url}/postgres", local))

    def create_topics(self) -> list[str]:
        """Create the topics of `contracts/topics.yaml` that are missing and give the others its settings; returns the
        names of those created."""
        from shell.kafka.create_topics import ensure_configs, ensure_topics
        from shell.kafka.topics import load_topics
        from shell.settings import Settings

        settings = Settings(kafka=self.kafka_address)
        created = _finish(ensure_topics(load_topics(), settings))
        _finish(ensure_configs(load_topics(), settings))
        return created

    def migrate(self) -> None:
        """Bring every service's tables up to date; harmless when they are. Raises LocalProblem."""
        services = [process.name for process in self.processes if process.database]
        env = {name: value for service in services for name, value in self.environment(service).items()}
        done = subprocess.run(
            [sys.executable, "-m", "shouwang.runtime.migrate", *services],
            env=env,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS_MAX,
            umask=PRIVATE_UMASK,
        )
        log = self.log_file("migrate")
        write_atomically(log, done.stdout + done.stderr)
        if done.returncode != 0:
            raise LocalProblem(f"The tables could not be brought up to date; {log} ends:\n{processes.log_tail(log)}")

    def service_url(self, name: str, replica: int = 0) -> str:
        """`http://127.0.0.1:PORT` of a service's process."""
        return f"http://127.0.0.1:{self.ports.get(process_name(name, replica))}"

    def environment(self, service: str) -> dict[str, str]:
        """What a service's process finds in its environment: its own database and no other."""
        theirs = "SHOUWANG_DATABASE_URL_"
        env = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        env |= {"SHOUWANG_HOME": str(self.home), "SHOUWANG_KAFKA": self.kafka_address, "PYTHONUNBUFFERED": "1"}
        if any(process.name == service and process.database for process in self.processes):
            env[theirs + service.upper()] = self.database_url(service)
        for process in self.processes:
            env[f"SHOUWANG_URL_{process.name.upper()}"] = self.service_url(process.name)
        env["SHOUWANG_DEMO"] = "1" if self.demo_file.exists() or settings().demo else "0"
        return env

    def start_stores(self, *, with_tables: bool = False) -> None:
        """PostgreSQL with the databases (and tables), and Kafka, which starts meanwhile; no topics yet. Closes the home
        to other users first."""
        close_to_others(self.home)
        with ThreadPoolExecutor(1) as pool:
            kafka = pool.submit(self.start_kafka)
            self.start_postgres()
            self.create_databases()
            if with_tables:
                self.migrate()
            kafka.result()


def process_name(name: str, replica: int) -> str:
    """The name of a process in logs, pid files and ports: `dispatch`, and `dispatch-1` for a further replica."""
    return f"{name}-{replica}" if replica else name


def _elsewhere(process: Process) -> bool:
    return f"SHOUWANG_DATABASE_URL_{process.name.upper()}" in os.environ


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a thread of its own, so that callers with a running event loop may call too."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _create_databases(url: str, names: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for name in names:
            if name not in there:
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
