"""Makes a consumer, a database and a topic for one test. The topic can be deleted, created again and trimmed."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from common.message import Record
from shell.audit.tables import AUDIT_LOG
from shell.kafka.client import connection
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.settings import Settings
from shell.store.database import Database
from shell.store.platform_tables import PLATFORM_TABLES
from shell.store.transaction import Tx

from shouwang.runtime.machine import Runtime

DEADLINE_SECONDS = 40


@asynccontextmanager
async def probe_database(stores: Runtime) -> AsyncIterator[Database]:
    """Create a database with the platform tables and a table `seen` of handled values; drop it at the end."""
    base = stores.database_url("ingestion").rpartition("/")[0]
    name = f"probe_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    await _create_tables(f"{base}/{name}")
    database = Database(f"{base}/{name}", "probe")
    await database.open()
    try:
        yield database
    finally:
        await database.close()
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def _create_tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE SCHEMA probe; SET search_path TO probe")
    await connection.execute(PLATFORM_TABLES + AUDIT_LOG)
    await connection.execute("CREATE TABLE seen (value text)")
    await connection.close()


async def until(holds: Callable[[], Awaitable[bool]], condition: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `holds` returns True. Raises TimeoutError with `condition` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 - the condition is outside of this process
                await asyncio.sleep(0.05)
    except TimeoutError as late:
        raise TimeoutError(f"not within {seconds} s: {condition}") from late


@dataclass(frozen=True)
class OnTopic(Handlers):
    """Handlers of events on `topic`, instead of the topics that the event classes name."""

    topic: str = ""

    def pattern(self) -> str:
        return f"^{re.escape(self.topic)}$"


class Probe:
    """A consumer of `topic` (one partition) and `others`. It writes every handled value into the table `seen`.

    `compacted`: the consumer treats `topic` as a compacted topic.
    """

    def __init__(
        self, settings: Settings, database: Database, topic: str, others: Sequence[str] = (), *, compacted: bool = False
    ) -> None:
        self.settings = settings
        self.database = database
        self.topic = topic
        self.place = TopicPartition(topic, 0)
        self.compacted = compacted
        self.handlers: Handlers = Handlers({}, dict.fromkeys([topic, *others], _see))
        self.consumer = self.new_consumer()
        self._running: asyncio.Task[None] | None = None

    def new_consumer(self) -> Consumer:
        consumer = Consumer("probe-" + self.topic, self.database, self.handlers, self.settings)
        if self.compacted:
            consumer.positions.compacted |= {self.topic}
        return consumer

    async def start(self) -> None:
        """Start a new consumer, like a restarted process."""
        self.consumer = self.new_consumer()
        self._running = asyncio.create_task(self.consumer.run(), name=f"consumer of {self.topic}")

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def send(
        self, *values: str, topic: str | None = None, keys: Sequence[str] | None = None, age_ms: int = 0
    ) -> None:
        """Write values to `topic` (default: the topic of the probe).

        `keys`: one per value. `age_ms`: how far the timestamps of the records are in the past.
        """
        written_ms = int(time.time() * 1000) - age_ms if age_ms else None
        records = []
        for number, value in enumerate(values):
            key = keys[number].encode() if keys else None
            records.append(Record(topic or self.topic, 0, 0, key, value.encode(), (), written_ms))
        await self._send(records)

    async def send_records(self, records: Sequence[Record]) -> None:
        """Write records to this topic. Their own topics are ignored."""
        await self._send(record._replace(topic=self.topic) for record in records)

    async def _send(self, records: Iterable[Record]) -> None:
        producer = AIOKafkaProducer(**connection(self.settings), acks="all")
        await producer.start()
        try:
            for r in records:
                await producer.send_and_wait(
                    r.topic, r.value, key=r.key, partition=0, timestamp_ms=r.timestamp_ms, headers=list(r.headers)
                )
        finally:
            await producer.stop()

    async def on_topic(self) -> list[str]:
        """Return every value that is on the topic now."""
        client = AIOKafkaConsumer(**connection(self.settings), auto_offset_reset="earliest")
        await client.start()
        try:
            client.assign([self.place])
            return await self._values(client)
        finally:
            await client.stop()

    async def _values(self, client: AIOKafkaConsumer) -> list[str]:
        end = (await client.end_offsets([self.place]))[self.place]
        found: list[str] = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await client.position(self.place) < end:
                for records in (await client.getmany(timeout_ms=200)).values():
                    found += [record.value.decode() for record in records]
        return found

    async def handled(self) -> list[str]:
        """Return every handled value, sorted, as often as it was handled."""
        return [row[0] for row in await self.database.pool.fetch("SELECT value FROM seen ORDER BY value")]

    async def until_handled(self, *values: str) -> None:
        """Wait until all values are handled; then check that each was handled once and no other value was."""
        wanted = sorted(values)

        async def all_handled() -> bool:
            return set(wanted) <= set(await self.handled())

        await until(all_handled, f"{len(wanted)} values handled")
        assert await self.handled() == wanted

    async def until_has_handled(self, value: str) -> None:
        async def is_handled() -> bool:
            return value in await self.handled()

        await until(is_handled, f"{value} handled")

    async def until_stopped(self, code: str) -> str:
        """Wait until the partition is stopped with this code; returns the reason for the operator."""

        async def stopped() -> bool:
            return any(code in reason for reason in self.consumer.reasons())

        await until(stopped, f"a reason with {code}, but {self.consumer.reasons()}")
        return next(reason for reason in self.consumer.reasons() if code in reason)


async def _see(records: Sequence[Record], tx: Tx) -> None:
    """The handler: insert the value of each record into the table `seen`."""
    await tx.sql.executemany("INSERT INTO seen VALUES ($1)", [(r.value.decode(),) for r in records if r.value])


@asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(settings: Settings, topic: str, **configs: str) -> None:
    """Create a topic with one partition. Waits while a topic of this name is being deleted.

    `configs`: settings of the topic, with `_` for `.`.
    """
    named = {name.replace("_", "."): value for name, value in configs.items()}
    async with admin_of(settings) as admin:

        async def made() -> bool:
            answer = await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=named)])
            code = answer.topic_errors[0][1]
            assert code in (0, TopicAlreadyExistsError.errno), answer
            return bool(code == 0)

        await until(made, f"topic {topic} made")


async def delete_topic(settings: Settings, topic: str) -> None:
    async with admin_of(settings) as admin:
        await admin.delete_topics([topic])

        async def gone() -> bool:
            return topic not in set(await admin.list_topics())

        await until(gone, f"topic {topic} deleted")


async def trim_topic(settings: Settings, topic: str, before_offset: int) -> None:
    """Delete the records of partition 0 below an offset, as retention does."""
    async with admin_of(settings) as admin:

        async def trimmed() -> bool:
            try:
                await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset)})
            except KafkaError:  # the partition has no known leader yet
                return False
            return True

        await until(trimmed, f"topic {topic} trimmed")


def numbered(word: str, count: int) -> list[str]:
    return [f"{word}-{n:04}" for n in range(count)]
