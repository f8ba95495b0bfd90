"""What can be seen of a running platform from outside: whether it is quiet, what lies on its topics, what is stored.

An observer lives through kills of the broker, the cluster and the services: it connects anew when need be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from shouwang.invariants.backlog import inbound_partitions
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


class Look(NamedTuple):
    """`behind`: records not yet settled, by service; `waiting`: rows in the outbox, by service; `ends`: of all topics
    that anybody reads."""

    behind: dict[str, int]
    waiting: dict[str, int]
    ends: Ends

    @property
    def is_still(self) -> bool:
        return not any(self.behind.values()) and not any(self.waiting.values())


class Observer:
    """Watches the named services of one home. Use as a context manager."""

    def __init__(self, stores: Stores, services: Sequence[str]) -> None:
        self.stores = stores
        self.services = tuple(services)
        self._kafka: AIOKafkaConsumer | None = None  # kept: the first question of a client is slow

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hang_up()

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection to a service's database; ids are read as text."""
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
        """Wait until nothing is under way: two looks in a row found every outbox empty and every reader at the end
        of its topics, and no topic grew between them. Raises TimeoutError, saying where something is left."""
        deadline, before, last = monotonic() + seconds, None, "nothing could be seen"
        while monotonic() < deadline:
            try:
                look = await self.look()
            except AWAY as error:
                await self._hang_up()
                before, last = None, f"a store is away: {error!r}"
            else:
                if look.is_still and before == look.ends:
                    return
                before, last = (look.ends if look.is_still else None), f"behind {look.behind}, waiting {look.waiting}"
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        raise TimeoutError(f"not quiet within {seconds:.0f} s: {last}")

    async def look(self) -> Look:
        """Outboxes first, then the ends of the topics, then how far their readers are: in this order nothing that
        moves on meanwhile is overlooked twice."""
        waiting: dict[str, int] = {}
        for service in self.services:
            waiting[service] = (await self.rows(service, "SELECT count(*) FROM outbox"))[0][0]
        positions: dict[str, dict[TopicPartition, int]] = {}
        for service in self.services:
            found = await self.rows(service, "SELECT topic, part, next_offset FROM consumer_offsets")
            positions[service] = {TopicPartition(r["topic"], r["part"]): r["next_offset"] or 0 for r in found}
        if "ingestion" in positions:  # a source's new topic has no position before ingestion has seen it
            positions["ingestion"] = dict.fromkeys(await self._inbound(), 0) | positions["ingestion"]
        ends = await self._ends({tp for at in positions.values() for tp in at})
        behind = {service: sum(max(0, ends[tp] - at[tp]) for tp in at) for service, at in positions.items()}
        return Look(behind, waiting, ends)

    async def _inbound(self) -> list[TopicPartition]:
        return await inbound_partitions(await self._connected())

    async def _ends(self, parts: Collection[TopicPartition]) -> Ends:
        ends: Ends = await (await self._connected()).end_offsets(sorted(parts))
        return ends

    async def _connected(self) -> AIOKafkaConsumer:
        if self._kafka is None:
            client = AIOKafkaConsumer(bootstrap_servers=self.stores.kafka_address)
            self._kafka = client
            await client.start()
        return self._kafka

    async def _hang_up(self) -> None:
        client, self._kafka = self._kafka, None
        if client is not None:
            await client.stop()

    async def records(self, topics: Collection[str]) -> list[ConsumerRecord]:
        """Everything that lies on `topics` now, in order within each partition."""
        found: list[ConsumerRecord] = []
        async with self._reader(topics) as client:
            parts = client.assignment()
            if {tp.topic for tp in parts} != set(topics):
                raise LookupError(f"not all of {', '.join(topics)} exist")
            ends: Ends = await client.end_offsets(parts)
            left, deadline = set(parts), monotonic() + READ_SECONDS_MAX
            while left := {tp for tp in left if await client.position(tp) < ends[tp]}:
                if monotonic() > deadline:
                    raise TimeoutError(f"could not read {sorted(left)} to the end")
                for tp, batch in (await client.getmany(timeout_ms=200)).items():
                    found += [record for record in batch if record.offset < ends[tp]]
        return found

    async def heads(self, topic: str) -> dict[str, ConsumerRecord]:
        """The last record of each key, which is what compaction keeps."""
        return last_of_each_key(await self.records([topic]))

    @asynccontextmanager
    async def _reader(self, topics: Collection[str]) -> AsyncIterator[AIOKafkaConsumer]:
        """Without a group: it is given all partitions of `topics`, and nobody notices it."""
        client = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=self.stores.kafka_address,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        )
        try:
            await client.start()
            yield client
        finally:
            await client.stop()


def last_of_each_key(records: Iterable[ConsumerRecord]) -> dict[str, Any]:
    return {record.key.decode(): record for record in records}


def header(record: ConsumerRecord, name: str) -> str | None:
    """A header of a record as text."""
    return next((value.decode() for key, value in record.headers if key == name), None)
