"""Runs an Apache Kafka broker from its jars: one node on the loopback interface, without ZooKeeper (KRaft)."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from shouwang.runtime import java, processes
from shouwang.runtime.paths import LOCAL, PRIVATE_UMASK, jars_folder, require_free_space, write_atomically
from shouwang.runtime.problems import LocalProblem

FREE_MIB_MIN = 1000
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 40
CLUSTER_ID = "c2hvdXdhbmctbG9jYWwtMQ"
# The fast compiler and the serial collector leave processor time to the services on a machine with two cores.
HEAP = ["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
# No topic is created automatically: contracts/topics.yaml declares all topics. After a kill the controller waits until
# the old session of the broker expires. The default is nine seconds, here it is four.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
socket.request.max.bytes=104857600
log.segment.bytes=134217728
num.network.threads=2
num.io.threads=4
"""


class Kafka:
    """The broker whose data and configuration are in `folder`."""

    def __init__(self, folder: Path, *, port: int, controller_port: int, log: Path, pid_file: Path) -> None:
        self.folder = folder
        self.port = port
        self.controller_port = controller_port
        self.log = log
        self.pid_file = pid_file

    def pid(self) -> int | None:
        """The pid of the broker, None if it does not run."""
        return processes.living_pid(self.pid_file)

    def is_ready(self) -> bool:
        """True if it runs and answers requests."""
        return self.pid() is not None and answers(self.port)

    def start(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Start the broker and wait until it answers. Raises LocalProblem.

        It downloads the jars and formats the data folder if needed.
        """
        if self.is_ready():
            return
        jars = java.ensure_jars(say)
        require_free_space(self.folder, FREE_MIB_MIN)
        if self.pid() is None:
            for port in (self.port, self.controller_port):
                processes.require_free(port, "Kafka", "set SHOUWANG_KAFKA to use a Kafka of your own")
            self._format(jars)
            processes.spawn(
                [*self._java(jars, self._archive_draft(jars)), "kafka.Kafka", str(self._properties())],
                log=self.log,
                pid_file=self.pid_file,
                env=_environment(),
            )
        if not processes.wait_for_start(self.is_ready, lambda: self.pid() is None, START_SECONDS_MAX):
            raise LocalProblem(f"Kafka did not start; its log {self.log} ends:\n{processes.log_tail(self.log)}")

    def stop(self) -> None:
        """Shut the broker down gracefully. Does nothing if it does not run."""
        pid = self.pid()
        if pid is not None:
            processes.stop(pid, seconds=STOP_SECONDS_MAX)
            self._keep_archive()
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Send SIGKILL to the broker, which ends it as a crash does. Does nothing if it does not run."""
        pid = self.pid()
        if pid is not None:
            processes.kill(pid)

    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _format(self, jars: Path) -> None:
        """Write the configuration, and format the data folder if it is new. Raises LocalProblem."""
        data = self.folder / "data"
        write_atomically(
            self._properties(),
            PROPERTIES.format(port=self.port, controller_port=self.controller_port, data=data),
        )
        if (data / "meta.properties").exists():
            return
        shutil.rmtree(data, ignore_errors=True)  # left by an interrupted format
        command = [*self._java(jars, None), "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
        done = subprocess.run(
            [*command, "-t", CLUSTER_ID, "-c", str(self._properties())],
            capture_output=True,
            text=True,
            env=_environment(),
            umask=PRIVATE_UMASK,
        )
        if done.returncode != 0:
            raise LocalProblem(f"Kafka could not format {data}: {done.stderr.strip() or done.stdout.strip()}")

    def _java(self, jars: Path, archive_draft: Path | None) -> list[str]:
        """The Java command without the class. Java uses an existing class data archive, or writes one to the draft."""
        archive = _archive(jars)
        sharing = []
        if archive.exists():
            sharing = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:disable"]
        elif archive_draft is not None:
            sharing = [f"-XX:ArchiveClassesAtExit={archive_draft}", "-Xlog:disable"]
        configuration = f"-Dlog4j2.configurationFile={LOCAL / 'kafka' / 'log4j2.properties'}"
        return ["java", *HEAP, *sharing, configuration, "-cp", f"{jars}/*"]

    def _archive_draft(self, jars: Path) -> Path:
        # the broker writes it at a graceful end, and `stop` moves the complete file to its place
        return self.folder / _archive(jars).name

    def _keep_archive(self) -> None:
        """Move the class data archive that the broker has written to the folder of the jars."""
        jars = jars_folder()
        made = self._archive_draft(jars)
        if made.exists() and jars.exists():
            shutil.copyfile(made, jars / f".{made.name}.{os.getpid()}")
            (jars / f".{made.name}.{os.getpid()}").replace(_archive(jars))
            made.unlink()


def _archive(jars: Path) -> Path:
    """Return the file of Java's class data archive, which saves a second per start. Each Java program has its own."""
    program = os.path.realpath(shutil.which("java") or "java")
    return jars / f"classes-{hashlib.sha256(program.encode()).hexdigest()[:12]}.jsa"


def _environment() -> dict[str, str]:
    # these options of the caller would print a line or change the heap
    return {name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "CLASSPATH"}}


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """True if a broker answers an ApiVersions request. A broker listens before it can answer."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((host, port), timeout=2) as wire:
            wire.sendall(struct.pack(">i", len(request)) + request)
            reply = wire.recv(10)
    except OSError:
        return False
    return len(reply) == 10 and struct.unpack(">ih", reply[4:]) == (1, 0)
