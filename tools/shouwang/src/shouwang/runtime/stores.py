"""Runs the stores of one home: the Kafka broker with its topics, and PostgreSQL with its databases and tables."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from shell.access.local_issuer import create_keys
from shell.settings import Settings, settings

from shouwang.runtime import broker, processes
from shouwang.runtime.kafka import answers
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.kafka_users import KafkaUsers
from shouwang.runtime.paths import PRIVATE_UMASK, close_to_others, default_home, demo_file, write_atomically
from shouwang.runtime.ports import PortPolicy, Ports
from shouwang.runtime.postgres import Postgres
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.services import Process, load_processes

if TYPE_CHECKING:
    from shouwang.runtime.kafka_acls import Registers
    from shouwang.runtime.kafka_grants import Changes

T = TypeVar("T")
MIGRATE_SECONDS_MAX = 120


class Stores:
    """Kafka and PostgreSQL of one home.

    `ports`: the policy of `Ports`. `say` gets each line of progress. A store that `SHOUWANG_KAFKA` or
    `SHOUWANG_DATABASE_URL_<SERVICE>` names is used instead of a local one.
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
        """The log with the output of a process."""
        return self.home / "logs" / f"{process}.log"

    def pid_file(self, process: str) -> Path:
        """The file with the identity of a process."""
        return self.run / f"{process}.pid"

    @property
    def stored(self) -> list[str]:
        """The names of the services that have a database, in starting order."""
        return [process.name for process in self.processes if process.database]

    @property
    def demo_file(self) -> Path:
        """The file that marks the home of a demonstration permanently. Its text is the serial number of the next
        synthetic person."""
        return demo_file(self.home)

    def mark_demo(self) -> None:
        """Mark the home as the home of a demonstration. Raises LocalProblem for a home with other data."""
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

    @property
    def kafka_users(self) -> KafkaUsers:
        """The users of the broker, with their passwords."""
        return KafkaUsers(self.home, self.kafka_address)

    def kafka_settings(self, user: str) -> Settings:
        """The settings of a process that connects as this user: a service, `operator` or `provision`."""
        return self.kafka_users.settings(user)

    def broker(self) -> broker.Broker:
        """The broker of this home, from its jars or in Docker."""
        return broker.choose(self.home, self.ports, self.log_file("kafka"), self.pid_file("kafka"), self.kafka_users)

    def kafka_answers(self) -> bool:
        """True if the broker answers requests, also one from SHOUWANG_KAFKA. Of a foreign broker with TLS, True if it
        accepts connections."""
        host, _, port = self.kafka_address.split(",")[0].rpartition(":")
        if self.kafka_users.is_foreign_with_tls:
            return processes.accepts(host, int(port))
        return answers(int(port), host, self.kafka_users.authority)

    def kafka_runs(self) -> bool:
        """True if the process of the broker lives, or its container if it was started in Docker."""
        pid_file = self.pid_file("kafka")
        if broker.is_in_docker(pid_file):
            return self.kafka_answers() or self.broker().pid() is not None
        return processes.living_pid(pid_file) is not None

    def require_kafka(self) -> None:
        """Raise LocalProblem if the broker does not answer."""
        if not self.kafka_answers():
            raise LocalProblem(f"Kafka at {self.kafka_address} does not answer: run `shouwang up`.")

    def start_kafka(self) -> None:
        """Start the broker, unless it runs or SHOUWANG_KAFKA names another."""
        if "SHOUWANG_KAFKA" not in os.environ:
            self.broker().start(self.say)

    def stop_kafka(self) -> None:
        """Shut the broker down gracefully; its data stays."""
        if self.pid_file("kafka").exists():
            self.broker().stop()

    def kill_kafka(self) -> None:
        """Send SIGKILL to the broker."""
        self.broker().kill()

    def restart_kafka(self) -> None:
        """Shut the broker down gracefully and start it again on the same port."""
        self.stop_kafka()
        self.start_kafka()

    # -- PostgreSQL

    def postgres(self) -> Postgres:
        """The database cluster of this home."""
        return Postgres(
            self.home / "postgres",
            port=self.ports.get("postgres"),
            log=self.log_file("postgres"),
            pid_file=self.pid_file("postgres"),
        )

    @property
    def needs_postgres(self) -> bool:
        """True if a service has its database in this cluster, not in an external one."""
        return not all(_is_external(process) for process in self.processes if process.database)

    def start_postgres(self) -> None:
        """Start the cluster, unless it runs or all services have external databases. If another program has its port,
        the cluster gets a new one."""
        if self.needs_postgres:
            server = self.postgres()
            if server.pid() is None and processes.is_listening(server.port):
                self.ports.forget("postgres")
            self.postgres().start()

    def stop_postgres(self) -> None:
        """Shut the cluster down gracefully; its data stays."""
        if self.pid_file("postgres").exists():
            self.postgres().stop()

    def kill_postgres(self) -> None:
        """Send SIGKILL to the cluster."""
        self.postgres().kill()

    def restart_postgres(self) -> None:
        """Shut the cluster down gracefully and start it again."""
        self.stop_postgres()
        self.start_postgres()

    def database_url(self, service: str) -> str:
        """Return the URL of a service's database: SHOUWANG_DATABASE_URL_<SERVICE>, else one in this cluster."""
        given = os.environ.get(f"SHOUWANG_DATABASE_URL_{service.upper()}")
        return given or f"{self.postgres().url}/{service}"

    def create_databases(self) -> None:
        """Create the missing databases in this cluster, one per service that has no external database."""
        local = [process.name for process in self.processes if process.database and not _is_external(process)]
        if local:
            _finish(_create_databases(f"{self.postgres().url}/postgres", local))

    def create_topics(self) -> list[str]:
        """Create the missing topics of `contracts/topics.yaml` and apply its settings to the others; returns the names
        of the new topics. Before that, the local broker gets its users and grants."""
        from shell.kafka.create_topics import ensure_configs, ensure_topics
        from shell.kafka.topics import load_topics

        if self.kafka_users.is_local:
            self.grant_kafka()
        settings = self.kafka_settings(PROVISION)
        created = _finish(ensure_topics(load_topics(), settings))
        _finish(ensure_configs(load_topics(), settings))
        return created

    def grant_kafka(self) -> Changes:
        """Create the users and the grants of the broker. Raises LocalProblem."""
        from shouwang.runtime import kafka_grants

        return kafka_grants.bring_up_to_date(self.kafka_users, self.load_registers)

    def load_registers(self) -> Registers:
        """Load which sources and providers may use Kafka. Raises LocalProblem while the databases are away."""
        from shouwang.runtime.kafka_registers import load_registers

        return _finish(load_registers(self))

    def migrate(self) -> None:
        """Migrate the tables of every service. Raises LocalProblem.

        Raises subprocess.TimeoutExpired after MIGRATE_SECONDS_MAX.
        """
        env: dict[str, str] = {}
        for service in self.stored:
            env |= self.environment(service)
        done = subprocess.run(
            [sys.executable, "-m", "shouwang.runtime.migrate", *self.stored],
            env=env,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS_MAX,
            umask=PRIVATE_UMASK,
        )
        log = self.log_file("migrate")
        write_atomically(log, done.stdout + done.stderr)
        if done.returncode != 0:
            raise LocalProblem(f"The tables could not be migrated; {log} ends:\n{processes.log_tail(log)}")

    def service_url(self, name: str, replica: int = 0) -> str:
        """`http://127.0.0.1:PORT` of a service's process."""
        return f"http://127.0.0.1:{self.ports.get(process_name(name, replica))}"

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a service's process. It contains the URL of its own database and of no other."""
        prefix = "SHOUWANG_DATABASE_URL_"
        env = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
        env |= {"SHOUWANG_HOME": str(self.home), "SHOUWANG_KAFKA": self.kafka_address, "PYTHONUNBUFFERED": "1"}
        env |= self.kafka_users.environment(service)
        if any(process.name == service and process.database for process in self.processes):
            env[prefix + service.upper()] = self.database_url(service)
        for process in self.processes:
            env[f"SHOUWANG_URL_{process.name.upper()}"] = self.service_url(process.name)
        env["SHOUWANG_DEMO"] = "1" if self.demo_file.exists() or settings().demo else "0"
        return env

    def start_stores(self, *, with_tables: bool = False) -> None:
        """Start PostgreSQL with its databases (and tables) and Kafka at the same time, without topics. Before
        that, it removes the permissions of other users for the home, and creates the keys of the local issuer."""
        close_to_others(self.home)
        create_keys(self.home / "keys" / "token.json", self.home / "keys" / "token.jwks.json")
        with ThreadPoolExecutor(1) as pool:
            kafka = pool.submit(self.start_kafka)
            self.start_postgres()
            self.create_databases()
            if with_tables:
                self.migrate()
            kafka.result()


def process_name(name: str, replica: int) -> str:
    """The name of a process in logs, pid files and ports: `dispatch`, or `dispatch-1` for replica 1."""
    return f"{name}-{replica}" if replica else name


def _is_external(process: Process) -> bool:
    return f"SHOUWANG_DATABASE_URL_{process.name.upper()}" in os.environ


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new thread and return its result. So the caller may have a running event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _create_databases(url: str, names: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database")
        existing = {row["datname"] for row in rows}
        for name in names:
            if name not in existing:
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
