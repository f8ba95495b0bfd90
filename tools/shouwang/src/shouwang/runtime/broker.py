"""Chooses the broker of a home: Kafka from its jars, else Kafka in Docker.

Without both, an error names the ways to get a broker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from shouwang.runtime import java, processes
from shouwang.runtime.kafka import START_SECONDS_MAX, Kafka, answers, security
from shouwang.runtime.kafka_users import KafkaUsers
from shouwang.runtime.paths import write_atomically
from shouwang.runtime.ports import Ports
from shouwang.runtime.problems import LocalProblem

IMAGE = "apache/kafka:4.3.1"
INSIDE_PORT = 9092
USERS_LABEL = "shouwang.users"  # of a container whose broker has users
IN_DOCKER = "docker"  # in the pid file: a pid of the engine may be unknown to this machine
DOCKER_SETTINGS = {
    "PROCESS_ROLES": "broker,controller",
    "NODE_ID": "1",
    "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "LISTENERS": f"CLIENTS://:{INSIDE_PORT},CONTROLLER://:9093",
    "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "INTER_BROKER_LISTENER_NAME": "CLIENTS",
    "AUTO_CREATE_TOPICS_ENABLE": "false",
    "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "MESSAGE_MAX_BYTES": "16777216",
}


class Broker(Protocol):
    """The operations of both kinds of broker."""

    def pid(self) -> int | None: ...
    def is_ready(self) -> bool: ...
    def start(self, say: Callable[[str], None] = ...) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


def choose(home: Path, ports: Ports, log: Path, pid_file: Path, users: KafkaUsers) -> Broker:
    """Return the broker of a home, without starting it. Raises LocalProblem if this machine has no way to run one."""
    problem = None if processes.living_pid(pid_file) else java.java_problem()
    if problem is None:
        return Kafka(
            home / "kafka",
            port=ports.get("kafka"),
            controller_port=ports.get("kafka-controller"),
            log=log,
            pid_file=pid_file,
            users=users,
        )
    if docker_runs():
        return DockerKafka(f"shouwang-kafka-{ports.get('kafka')}", ports.get("kafka"), pid_file, users)
    raise LocalProblem(no_way(problem))


def is_in_docker(pid_file: Path) -> bool:
    """True if the broker of this pid file was started in Docker."""
    return pid_file.exists() and pid_file.read_text(encoding="utf-8") == IN_DOCKER


def no_way(problem: str) -> str:
    """Return a sentence with the problem and its three solutions: Java with Maven, Docker, or an existing Kafka."""
    return (
        f"{problem}: install Java ≥ {java.JAVA_MAJOR_MIN} and Maven, or start a Docker engine, "
        "or set SHOUWANG_KAFKA to the address of a running Kafka."
    )


def docker_variable(setting: str) -> str:
    """The variable by which the official image takes a setting of the broker."""
    return "KAFKA_" + setting.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def docker_runs() -> bool:
    """True if a Docker engine answers, not only its client is installed."""
    return shutil.which("docker") is not None and _docker("info").returncode == 0


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


class DockerKafka:
    """A broker in a Docker container of the official image. The container keeps the data when it is stopped."""

    def __init__(self, name: str, port: int, pid_file: Path, users: KafkaUsers) -> None:
        self.users = users
        self.name = name
        self.port = port
        self.pid_file = pid_file

    def pid(self) -> int | None:
        """The pid on this machine while the container runs."""
        pid = _docker("inspect", "--format", "{{.State.Pid}}", self.name).stdout.strip()
        return int(pid) if pid.isdigit() and pid != "0" else None

    def is_ready(self) -> bool:
        """True if it runs and answers requests."""
        return self.pid() is not None and answers(self.port)

    def start(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Start the container, or create it, and wait until the broker answers. Raises LocalProblem."""
        if self.is_ready():
            return
        if self.users.authority is not None:
            raise LocalProblem("Kafka in Docker does not use TLS here: run Kafka with Java and Maven.")
        self._require_users()
        done = _docker("start", self.name)
        if done.returncode != 0:
            say(f"starting {IMAGE} in Docker (downloaded once)")
            done = _docker(*self.run_command())
        if done.returncode != 0:
            raise LocalProblem(f"Docker could not start {IMAGE}: {done.stderr.strip()}")
        write_atomically(self.pid_file, IN_DOCKER)
        if not processes.wait_until(self.is_ready, START_SECONDS_MAX, every_seconds=0.2):
            raise LocalProblem(f"Kafka in Docker did not answer; see `docker logs {self.name}`.")

    def stop(self) -> None:
        """Stop the container; its data stays."""
        _docker("stop", self.name)
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Send SIGKILL to the broker in the container."""
        _docker("kill", self.name)

    def _require_users(self) -> None:
        """Raise LocalProblem for a container from before the broker had users: its settings cannot be changed."""
        if self._was_made_without_users():
            raise LocalProblem(
                f"The container {self.name} has a Kafka without users: remove it and its topics with "
                f"`docker rm {self.name}`, or run Kafka with Java and Maven."
            )

    def _was_made_without_users(self) -> bool:
        """False if no container exists."""
        shown = _docker("inspect", "--format", f'{{{{index .Config.Labels "{USERS_LABEL}"}}}}', self.name)
        return shown.returncode == 0 and shown.stdout.strip() != "1"

    def run_command(self) -> list[str]:
        """Write the settings of the broker to a file; returns the arguments of `docker` that create the container."""
        self.users.make_passwords()
        settings = {f"KAFKA_{name}": value for name, value in DOCKER_SETTINGS.items()}
        settings["KAFKA_ADVERTISED_LISTENERS"] = f"CLIENTS://127.0.0.1:{self.port}"
        settings |= {docker_variable(name): value for name, value in security(self.users).items()}
        file = self.users.folder / "docker.env"  # not in the command, which every user of this machine can read
        write_atomically(file, "".join(f"{name}={value}\n" for name, value in settings.items()))
        ports = ["-p", f"127.0.0.1:{self.port}:{INSIDE_PORT}"]
        named = ["--name", self.name, "--label", f"{USERS_LABEL}=1"]
        return ["run", "--detach", *named, *ports, "--env-file", str(file), IMAGE]


def main() -> int:
    """Check for `make` whether a broker can run here: returns 0, or prints the problem and returns 2."""
    problem = None if "SHOUWANG_KAFKA" in os.environ else java.java_problem()
    if problem is None or docker_runs():
        return 0
    print(no_way(problem), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
