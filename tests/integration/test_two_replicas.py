"""Two processes of one deployment share the topics of their service, and one of them restarts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from time import time
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from common.events import AbilitiesDetermined
from shell import clock
from shell.kafka import client as kafka
from shell.settings import Settings, paths
from shell.store.database import Database
from shell.testing import event_record
from shouwang.runtime import processes

EVERY_SECONDS = 0.05
SECONDS_BETWEEN = 7.0
LATENCY_SECONDS_MAX = 8.0
KILLED_SECONDS_MAX = 25.0  # includes the session timeout of the killed process
DEADLINE_SECONDS = 60
# The command of a container; both pods of a Deployment have the same environment.
APP = """
import os
from common.events import AbilitiesDetermined
from shell.service import Service

async def on_abilities_determined(messages, tx):
    await tx.sql.executemany(
        "INSERT INTO seen (task_id, pid) VALUES ($1, $2)", [(m.data.person_id, os.getpid()) for m in messages]
    )

app = Service("probe", handlers={AbilitiesDetermined: on_abilities_determined}).app
"""


class Pods:
    """Processes of the service `probe`, all with one environment."""

    def __init__(self, folder: Path, database: Database, settings: Settings, stack: ExitStack) -> None:
        (folder / "probe_app.py").write_text(APP)
        self._folder = folder
        self._stack = stack
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SHOUWANG_")},
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "SHOUWANG_HOME": str(paths().home_folder),
            "SHOUWANG_KAFKA": settings.kafka,
            "SHOUWANG_KAFKA_USERNAME": settings.kafka_username or "",
            "SHOUWANG_KAFKA_PASSWORD_FILE": str(settings.kafka_password_file),
            "SHOUWANG_KAFKA_TLS": "0",
            "SHOUWANG_DATABASE_URL_PROBE": database.url,
        }

    async def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a process and wait until it has partitions."""
        port = processes.free_port()
        log = self._stack.enter_context((self._folder / f"{name}.log").open("ab"))
        command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--loop", "uvloop", "probe_app:app"]
        child = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)  # noqa: ASYNC220 - returns at once
        self._stack.callback(lambda: (child.kill(), child.wait()))
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(DEADLINE_SECONDS):
            while not await _is_ready(client, port):
                await asyncio.sleep(0.05)
        return child


async def _is_ready(client: httpx.AsyncClient, port: int) -> bool:
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/readyz")
        return bool(answer.json()["ready"])
    except httpx.TransportError:
        return False


class Stream:
    """Sends twenty records per second and notes when each was sent."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self.sent: dict[str, float] = {}

    async def slowest(self, database: Database, seconds: float) -> float:
        """Send for `seconds`. Returns the longest time from sending to commit, in seconds."""
        mine, until = set[str](), time() + seconds
        while time() < until:
            mine.add(await self._send())
            await asyncio.sleep(EVERY_SECONDS)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not mine <= (handled := await _handled(database)).keys():
                await asyncio.sleep(0.1)
        return max(handled[person] - self.sent[person] for person in mine)

    async def _send(self) -> str:
        person = str(uuid4())
        event = AbilitiesDetermined(person_id=person, version=1, recorded_at=clock.now(), abilities=())
        record = event_record(event)
        self.sent[person] = time()
        await self._producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
        return person


async def _handled(database: Database) -> dict[str, float]:
    """The first time each person was handled, in seconds."""
    rows = await database.pool.fetch(
        "SELECT task_id, min(extract(epoch FROM at))::float AS at FROM seen GROUP BY task_id"
    )
    return {row["task_id"]: row["at"] for row in rows}


async def _handlers(database: Database, stream: Stream) -> set[int]:
    """The processes that handled the records so far."""
    rows = await database.pool.fetch("SELECT DISTINCT pid FROM seen WHERE task_id = ANY($1)", list(stream.sent))
    return {row["pid"] for row in rows}


async def _epochs(database: Database) -> dict[int, int]:
    """How many times each partition changed its owner."""
    rows = await database.pool.fetch("SELECT part, epoch FROM consumer_offsets WHERE consumer = 'probe'")
    return {row["part"]: row["epoch"] for row in rows}


async def _settled_epochs(database: Database) -> dict[int, int]:
    """The epochs, after no partition changed its owner for a second."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        before = await _epochs(database)
        while True:
            await asyncio.sleep(1)
            now = await _epochs(database)
            if now == before:
                return now
            before = now


@pytest.fixture
async def stream(settings: Settings) -> AsyncIterator[Stream]:
    producer = kafka.producer(settings)
    await producer.start()
    yield Stream(producer)
    await kafka.stop(producer)


@pytest.mark.parametrize("leaves", ["in order", "killed"])
async def test_one_of_two_pods_restarts_and_no_record_waits_long(
    leaves: str, tmp_path: Path, database: Database, settings: Settings, stream: Stream
) -> None:
    await database.pool.execute("CREATE TABLE seen (task_id text, pid int, at timestamptz DEFAULT clock_timestamp())")
    with ExitStack() as stack:
        pods = Pods(tmp_path, database, settings, stack)
        first, second = await pods.start("first"), await pods.start("second")
        owned = await _settled_epochs(database)
        figures = {"both": await stream.slowest(database, SECONDS_BETWEEN)}
        assert await _epochs(database) == owned  # no partition changed its owner: neither process fenced the other
        assert await _handlers(database, stream) == {first.pid, second.pid}
        second.send_signal(signal.SIGTERM if leaves == "in order" else signal.SIGKILL)
        figures["one"] = await stream.slowest(database, SECONDS_BETWEEN)
        await asyncio.to_thread(second.wait, DEADLINE_SECONDS)
        await pods.start("second")
        figures["both again"] = await stream.slowest(database, SECONDS_BETWEEN)
    print(f"{leaves}: longest wait in seconds {figures}")
    assert figures["both"] < LATENCY_SECONDS_MAX
    assert figures["one"] < (LATENCY_SECONDS_MAX if leaves == "in order" else KILLED_SECONDS_MAX)
    assert figures["both again"] < LATENCY_SECONDS_MAX
    assert len(stream.sent) > 3 * SECONDS_BETWEEN
