"""Runs an Apache Kafka broker from its jars: one node on the loopback interface, without ZooKeeper (KRaft).

Every client authenticates itself, and the authorizer refuses what no grant allows (`shouwang.runtime.kafka_acls`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from shouwang.runtime import java, processes
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.kafka_users import BROKER, KafkaUsers
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
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENTS://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
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
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def security(users: KafkaUsers) -> dict[str, str]:
    """Return the broker's settings of users, grants and encryption. They contain two passwords.

    The broker itself and the super user authenticate themselves by PLAIN: a new broker has no SCRAM user, and the
    listener of the controller knows none. All other users are SCRAM users, which the super user creates.
    """
    broker, provision = users.password(BROKER), users.password(PROVISION)
    own = f'{_PLAIN} username="{BROKER}" password="{broker}" user_{BROKER}="{broker}"'
    found = {
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": f"{own};",
        "listener.name.clients.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": f'{own} user_{PROVISION}="{provision}";',
        "listener.name.clients.scram-sha-512.sasl.jaas.config": _SCRAM,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{BROKER};User:{PROVISION}",
    }
    return found | (_tls(users.authority) if users.authority else {})


def _tls(authority: Path) -> dict[str, str]:
    return {
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SASL_PLAINTEXT",
        "listener.name.clients.ssl.keystore.type": "PEM",
        "listener.name.clients.ssl.keystore.location": str(authority.with_name("broker.pem")),
        "listener.name.clients.ssl.truststore.type": "PEM",
        "listener.name.clients.ssl.truststore.location": str(authority),
    }


class Kafka:
    """The broker whose data and configuration are in `folder`."""

    def __init__(
        self, folder: Path, *, port: int, controller_port: int, log: Path, pid_file: Path, users: KafkaUsers
    ) -> None:
        self.folder = folder
        self.users = users
        self.port = port
        self.controller_port = controller_port
        self.log = log
        self.pid_file = pid_file

    def pid(self) -> int | None:
        """The pid of the broker, None if it does not run."""
        return processes.living_pid(self.pid_file)

    def is_ready(self) -> bool:
        """True if it runs and answers requests."""
        return self.pid() is not None and answers(self.port, authority=self.users.authority)

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
            self.users.make_passwords()
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
            PROPERTIES.format(port=self.port, controller_port=self.controller_port, data=data)
            + "".join(f"{name}={value}\n" for name, value in security(self.users).items()),
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


def answers(port: int, host: str = "127.0.0.1", authority: Path | None = None) -> bool:
    """True if a broker answers an ApiVersions request, which needs no user. A broker listens before it can answer.

    `authority`: the broker uses TLS, with a certificate that this authority has signed."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((host, port), timeout=2) as wire:
            reply = _ask(wire, request) if authority is None else _ask_encrypted(wire, request, host, authority)
    except OSError:
        return False
    return len(reply) == 10 and struct.unpack(">ih", reply[4:]) == (1, 0)


def _ask(wire: socket.socket, request: bytes) -> bytes:
    wire.sendall(struct.pack(">i", len(request)) + request)
    return wire.recv(10)


def _ask_encrypted(wire: socket.socket, request: bytes, host: str, authority: Path) -> bytes:
    with ssl.create_default_context(cafile=authority).wrap_socket(wire, server_hostname=host) as encrypted:
        return _ask(encrypted, request)
