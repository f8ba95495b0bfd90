"""Reads the state of a running platform: backlogs, records of topics, rows of databases.

An observer connects again after kills of the broker, the database cluster or services.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from shell.kafka.client import connection

from shouwang.invariants.backlog import inbound_partitions
from shouwang.runtime.kafka_acls import OPERATOR, PROVISION
from shouwang.runtime.stores import Stores

LOOK_EVERY_SECONDS = 0.2
READ_SECONDS_MAX = 60
AWAY = (
    OSError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
)
Ends = dict[TopicPartition, int]


class Backlog(NamedTuple):
    """`behind`: unread records by service; `waiting`: outbox rows by service; `ends`: end offset of each partition."""

    behind: dict[str, int]
    waiting: dict[str, int]
    ends: Ends

    def __str__(self) -> str:
        return f"behind {self.behind}, waiting {self.waiting}"

    @property
    def is_empty(self) -> bool:
        return not any(self.behind.values()) and not any(self.waiting.values())


class Observer:
    """Reads topics, and the databases of the named services of one home. Use it as a context manager."""

    def __init__(self, stores: Stores, services: Sequence[str]) -> None:
        self.stores = stores
        self.services = tuple(services)
        self._kafka: AIOKafkaConsumer | None = None  # kept open: the first request of a client is slow

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._disconnect()

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """Connect to a service's database. The connection reads UUIDs as text."""
        settings = {"search_path": f"{service},public", "application_name": "observer"}
        connection = await asyncpg.connect(self.stores.database_url(service), server_settings=settings, timeout=10)
        try:
            await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
            yield connection
        finally:
            await connection.close()

    async def rows(self, service: str, statement: str, *values: object) -> list[asyncpg.Record]:
        async with self.database(service) as connection:
            found: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return found

    async def until_quiet(self, seconds: float) -> None:
        """Wait until the backlog is empty twice in a row and no topic grew between. Raises TimeoutError with the
        last backlog."""
        deadline, before, found = monotonic() + seconds, None, None
        while monotonic() < deadline:
            found = await self._backlog_or_error()
            if isinstance(found, Backlog) and found.is_empty:
                if found.ends == before:
                    return
                before = found.ends
            else:
                before = None
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        raise TimeoutError(f"not quiet within {seconds:.0f} s: {found}")

    async def _backlog_or_error(self) -> Backlog | str:
        """The backlog, or the error as text. An error closes the connection, because the next read needs a new one."""
        try:
            return await self.backlog()
        except AWAY as error:
            await self._disconnect()
            return f"a store is away: {error!r}"

    async def backlog(self) -> Backlog:
        """Read the backlog: outboxes first, then positions, then the ends of the topics.

        Because of this order, two reads in a row cannot both miss the same record. Compare also `ends`: a topic that
        grew shows that a record moved between the reads.
        """
        waiting = {service: await self._pending(service) for service in self.services}
        positions = {service: await self._positions(service) for service in self.services}
        ends = await self._ends({tp for read in positions.values() for tp in read})
        behind = {service: _unread(read, ends) for service, read in positions.items()}
        return Backlog(behind, waiting, ends)

    async def _pending(self, service: str) -> int:
        return int((await self.rows(service, "SELECT count(*) FROM outbox"))[0][0])

    async def _positions(self, service: str) -> dict[TopicPartition, int]:
        """Read the next offset per partition that the service reads; 0 before its first record."""
        rows = await self.rows(service, "SELECT topic, part, next_offset FROM consumer_offsets")
        read = {TopicPartition(row["topic"], row["part"]): row["next_offset"] or 0 for row in rows}
        if service == "ingestion":  # a source's new topic has no position before ingestion has found it
            read = dict.fromkeys(await self._inbound(), 0) | read
        return read

    async def _inbound(self) -> list[TopicPartition]:
        return await inbound_partitions(await self._connected())

    async def _ends(self, parts: Collection[TopicPartition]) -> Ends:
        ends: Ends = await (await self._connected()).end_offsets(sorted(parts))
        return ends

    async def _connected(self) -> AIOKafkaConsumer:
        if self._kafka is None:
            client = AIOKafkaConsumer(**connection(self.stores.kafka_settings(OPERATOR)))
            self._kafka = client
            await client.start()
        return self._kafka

    async def _disconnect(self) -> None:
        client, self._kafka = self._kafka, None
        if client is not None:
            await client.stop()

    async def records(self, topics: Collection[str]) -> list[ConsumerRecord]:
        """Return every record that is on `topics` now, in order within each partition.

        Raises LookupError for an unknown topic, and TimeoutError.
        """
        async with self._reader(topics) as client:
            parts = client.assignment()
            if {tp.topic for tp in parts} != set(topics):
                raise LookupError(f"not all of {', '.join(topics)} exist")
            return await _read_to(client, await client.end_offsets(parts))

    async def heads(self, topic: str) -> dict[str, ConsumerRecord]:
        """Return the last record of each key of a topic, as after compaction."""
        return last_of_each_key(await self.records([topic]))

    @asynccontextmanager
    async def _reader(self, topics: Collection[str]) -> AsyncIterator[AIOKafkaConsumer]:
        """Open a client without a consumer group. It reads all partitions of `topics` and moves no stored position."""
        client = AIOKafkaConsumer(
            *topics,
            **connection(self.stores.kafka_settings(PROVISION)),  # also the topics of sources
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        )
        try:
            await client.start()
            yield client
        finally:
            await client.stop()


async def _read_to(client: AIOKafkaConsumer, ends: Ends) -> list[ConsumerRecord]:
    """Read the records of every partition below its end offset. Raises TimeoutError."""
    found: list[ConsumerRecord] = []
    left, deadline = set(ends), monotonic() + READ_SECONDS_MAX
    while left := {tp for tp in left if await client.position(tp) < ends[tp]}:
        if monotonic() > deadline:
            raise TimeoutError(f"could not read {sorted(left)} to the end")
        for tp, batch in (await client.getmany(timeout_ms=200)).items():
            found += [record for record in batch if record.offset < ends[tp]]
    return found


def _unread(read: Mapping[TopicPartition, int], ends: Ends) -> int:
    return sum(max(0, ends[tp] - offset) for tp, offset in read.items())


def last_of_each_key(records: Iterable[ConsumerRecord]) -> dict[str, Any]:
    return {record.key.decode(): record for record in records}


def header(record: ConsumerRecord, name: str) -> str | None:
    """Return a header of a record as text; None without this header."""
    return next((value.decode() for key, value in record.headers if key == name), None)
