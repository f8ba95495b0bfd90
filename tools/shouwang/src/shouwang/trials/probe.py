"""A consumer, a database and a topic of one test: made, deleted, made again, and trimmed."""

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
    """The platform's own tables and a table `seen` for what a handler handled, dropped afterwards."""
    base = stores.database_url("ingestion").rpartition("/")[0]
    name = f"probe_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    setup = await asyncpg.connect(f"{base}/{name}")
    await setup.execute("CREATE SCHEMA probe; SET search_path TO probe")
    await setup.execute(PLATFORM_TABLES)
    await setup.execute("CREATE TABLE seen (value text)")
    await setup.close()
    database = Database(f"{base}/{name}", "probe")
    await database.open()
    try:
        yield database
    finally:
        await database.close()
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Raises TimeoutError that names `what` after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 - the fact lies outside of this process
                await asyncio.sleep(0.05)
    except TimeoutError as late:
        raise TimeoutError(f"not within {seconds} s: {what}") from late


@dataclass(frozen=True)
class OnTopic(Handlers):
    """Handlers of events that lie on another topic than their own."""

    topic: str = ""

    def pattern(self) -> str:
        return f"^{re.escape(self.topic)}$"


class Probe:
    """One reader of `topic` (one partition) that writes every value it handles into `seen`."""

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
        """Read with a new consumer, as a restarted process would."""
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
        """Values with the given keys, as if written `age_ms` ago."""
        written_ms = int(time.time() * 1000) - age_ms if age_ms else None
        places = [topic or self.topic] * len(values)
        await self._send(
            Record(place, 0, 0, keys[n].encode() if keys else None, value.encode(), (), written_ms)
            for n, (place, value) in enumerate(zip(places, values, strict=True))
        )

    async def send_records(self, records: Sequence[Record]) -> None:
        """Records on this topic, whatever topic they name."""
        await self._send(record._replace(topic=self.topic) for record in records)

    async def _send(self, records: Iterable[Record]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka, acks="all")
        await producer.start()
        try:
            for r in records:
                await producer.send_and_wait(
                    r.topic, r.value, key=r.key, partition=0, timestamp_ms=r.timestamp_ms, headers=list(r.headers)
                )
        finally:
            await producer.stop()

    async def on_topic(self) -> list[str]:
        """Every value that the topic holds now."""
        client = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka, auto_offset_reset="earliest")
        await client.start()
        try:
            client.assign([self.place])
            end, found = (await client.end_offsets([self.place]))[self.place], list[str]()
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await client.position(self.place) < end:
                    for records in (await client.getmany(timeout_ms=200)).values():
                        found += [r.value.decode() for r in records]
            return found
        finally:
            await client.stop()

    async def handled(self) -> list[str]:
        """Every value handled so far, in any order, each as often as it was handled."""
        return [row[0] for row in await self.database.pool.fetch("SELECT value FROM seen ORDER BY value")]

    async def until_handled(self, *values: str) -> None:
        wanted = sorted(values)

        async def all_of_them() -> bool:
            found = await self.handled()
            return set(wanted) <= set(found)

        await until(all_of_them, f"{len(wanted)} values handled")
        assert await self.handled() == wanted

    async def until_has_handled(self, value: str) -> None:
        async def has_it() -> bool:
            return value in await self.handled()

        await until(has_it, f"{value} handled")

    async def until_stopped(self, code: str) -> str:
        """The sentence for the operator, once the partition is stopped for this reason."""

        async def stopped() -> bool:
            return any(code in reason for reason in self.consumer.reasons())

        await until(stopped, f"a reason with {code}, but {self.consumer.reasons()}")
        return next(reason for reason in self.consumer.reasons() if code in reason)


async def _see(records: Sequence[Record], tx: Tx) -> None:
    await tx.sql.executemany("INSERT INTO seen VALUES ($1)", [(r.value.decode(),) for r in records if r.value])


@asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(settings: Settings, topic: str, **configs: str) -> None:
    """With one partition; waits while a topic of this name is still being deleted."""
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
    """Delete the oldest records of partition 0, as retention does."""
    async with admin_of(settings) as admin:

        async def trimmed() -> bool:
            try:
                await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset)})
            except KafkaError:  # its leader is not known yet
                return False
            return True

        await until(trimmed, f"topic {topic} trimmed")


def numbered(word: str, count: int) -> list[str]:
    return [f"{word}-{n:04}" for n in range(count)]
