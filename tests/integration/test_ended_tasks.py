"""A task of aiokafka ends silently on a real broker: the client is replaced and the records are read."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from common.message import Record
from shell.kafka import client as kafka
from shell.kafka.client import connection
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.kafka.liveness import Client, ClientEnded, ended_tasks, library_tasks, require_running
from shell.settings import Settings
from shell.store.database import Database
from shell.store.transaction import Tx
from shouwang.trials.broken_requests import intercepted

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DEADLINE_SECONDS = 40
SESSION_SECONDS = 15
GROUP = f"probe-{uuid4().hex[:8]}"


class Inbox:
    """A consumer of all topics `<group>-…`, and the values that it handled."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.group = f"probe-{uuid4().hex[:8]}"
        self.settings = settings
        self.values: list[str] = []
        handlers = Handlers({}, {f"^{self.group}-.*": self._on_records})
        self.consumer = Consumer(self.group, database, handlers, settings)

    async def _on_records(self, records: Sequence[Record], tx: Tx) -> None:
        self.values += [(r.value or b"").decode() for r in records]

    async def create(self, topic: str) -> None:
        admin = AIOKafkaAdminClient(**connection(self.settings))
        await admin.start()
        try:
            await admin.create_topics([NewTopic(f"{self.group}-{topic}", 1, 1)])
        finally:
            await admin.close()

    async def send(self, topic: str, value: str) -> None:
        producer = AIOKafkaProducer(**connection(self.settings))
        await producer.start()
        try:
            await producer.send_and_wait(f"{self.group}-{topic}", value.encode())
        finally:
            await producer.stop()

    async def until(self, *values: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not set(values) <= set(self.values):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(inbox: Inbox) -> AsyncIterator[Inbox]:
    task = asyncio.create_task(inbox.consumer.run(), name="probe-consumer")
    try:
        yield inbox
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Fault:
    """Fails the next request of one kind with a RuntimeError, as uvloop does when a broker is killed."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.raised = asyncio.Event()

    def instead(self, request: str) -> None:
        if self.kind is not None and request.startswith(self.kind):
            self.kind = None
            self.raised.set()
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>")

    async def trigger(self, kind: str) -> None:
        self.kind = kind
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.raised.wait()


@pytest.fixture
def fault(settings: Settings) -> Iterator[Fault]:
    fault = Fault()
    with intercepted(settings.kafka, fault.instead):
        yield fault


@pytest.mark.parametrize("kind", ["FetchRequest", "MetadataRequest", "HeartbeatRequest"])
async def test_records_are_read_after_a_library_task_has_ended(
    kind: str, fault: Fault, database: Database, settings: Settings
) -> None:
    inbox = Inbox(database, settings)
    await inbox.create("old")
    await inbox.send("old", "before")
    async with running(inbox):
        await inbox.until("before")
        await fault.trigger(kind)
        await inbox.create("new")
        await inbox.send("old", "after")
        await inbox.send("new", "elsewhere")
        await inbox.until("after", "elsewhere")


@asynccontextmanager
async def started(client: Client) -> AsyncIterator[Client]:
    await client.start()
    try:
        yield client
    finally:
        await kafka.stop(client)


def running_library_tasks() -> set["asyncio.Task[Any]"]:
    """Every running task of aiokafka that lives longer than one request."""
    return {
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
        and "/aiokafka/" in str(getattr(task.get_coro(), "cr_code", None))
        and task.get_coro().__name__ not in ONE_REQUEST  # type: ignore[union-attr]
    }


# Coroutines of one request or one connection. Their callers notice when they end.
ONE_REQUEST = {"_proc_fetch_request", "_update_fetch_positions", "_send_produce_req", "_read"}


async def _make(kind: str, settings: Settings) -> Client:
    if kind == "producer":
        return kafka.producer(settings)
    if kind == "admin":
        return kafka.admin(settings)
    client = kafka.consumer(settings, f"probe-{uuid4().hex[:8]}" if kind == "member" else None)
    client.subscribe(["assessment.ability"])
    return client


EXPECTED = {
    "producer": {"metadata", "sender"},
    "admin": {"metadata"},
    "reader": {"metadata", "fetch", "reset_committed"},
    "member": {"metadata", "fetch", "coordination", "heartbeat", "commit_refresh"},
}


@pytest.mark.parametrize("kind", EXPECTED)
async def test_every_task_of_the_library_is_known_and_running(kind: str, settings: Settings) -> None:
    before = running_library_tasks()
    async with started(await _make(kind, settings)) as client:
        tasks = library_tasks(client)
        assert set(tasks) == EXPECTED[kind]
        assert running_library_tasks() - before == set(tasks.values())
        assert ended_tasks(client) == []
    assert running_library_tasks() == before


@pytest.mark.parametrize("lost", ["metadata", "fetch", "coordination"])
async def test_a_member_that_lost_a_task_still_leaves_its_group(lost: str, settings: Settings) -> None:
    """So the next member does not wait for the session timeout."""
    first, second = (kafka.consumer(settings, GROUP) for _ in range(2))
    for client in (first, second):
        client.subscribe(["assessment.ability"])
    await first.start()
    task = library_tasks(first)[lost]
    assert task is not None
    task.cancel()
    await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
    began = monotonic()
    await kafka.stop(first)
    async with started(second):
        assert second.assignment()
    assert monotonic() - began < SESSION_SECONDS / 2


@pytest.mark.parametrize("kind", EXPECTED)
async def test_a_client_with_an_ended_task_is_detected_and_leaves_no_task_behind(kind: str, settings: Settings) -> None:
    before = running_library_tasks()
    for name in sorted(EXPECTED[kind] - {"heartbeat", "commit_refresh"}):
        async with started(await _make(kind, settings)) as client:
            task = library_tasks(client)[name]
            assert task is not None
            task.cancel()
            await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
            assert ended_tasks(client) == [name]
            with pytest.raises(ClientEnded, match=name):
                require_running(client)
    assert running_library_tasks() == before
