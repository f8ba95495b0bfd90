"""Helpers of use-case tests: a real, empty database per test and the real path of a batch, without Kafka.

    async with migrated_database("dispatch") as database:
        driver = Driver(database, service.handlers)
        await driver.deliver(EntitlementsDecided(...), times=2)
        assert [type(e) for e in await driver.emitted()] == [VisitPlanned]

All test processes of a checkout share one PostgreSQL server (`shouwang.testing`), or they use SHOUWANG_TEST_POSTGRES
(a base URL without a database).
"""

import importlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import TopicPartition
from common.events import Event, by_type, decoder
from common.message import Message, Record, to_headers

from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.settings import settings
from shell.spare_databases import spare_database
from shell.store.database import Database
from shell.store.outbox import WIRE_COLUMNS, outgoing, wires
from shell.store.transaction import Tx


def postgres_base_url() -> str:
    if given := os.environ.get("SHOUWANG_TEST_POSTGRES"):
        return given.rstrip("/")
    found: str = importlib.import_module("shouwang.testing").shared_postgres()
    return found


@asynccontextmanager
async def migrated_database(service: str) -> AsyncIterator[Database]:
    """Yield an open, empty database with the service's tables, for one test."""
    async with spare_database(postgres_base_url(), service) as url:
        database = Database(url, service)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


def event_record(event: Event, *, offset: int = 0, correlation_id: str | None = None, id: str | None = None) -> Record:
    """Return the event as a record of its topic. `correlation_id`: by default the first of its causes, or a new id."""
    causes: tuple[str, ...] = tuple(getattr(event, "causes", ()))
    correlation = correlation_id or (causes[0] if causes else str(uuid4()))
    headers = to_headers(
        wire_type=event.wire_type(),
        id=id or str(uuid4()),
        time=importlib.import_module("shell.clock").now(),
        correlation_id=correlation,
        causation_id=None,
        traceparent=None,
    )
    return Record(event.topic, 0, offset, event.key().encode(), msgspec.json.encode(event), headers)


class Driver:
    """Gives events to a service's handlers as the consumer does.

    One transaction checks that the consumer still owns the partition, claims the events in the inbox, runs the handlers
    and fills the outbox."""

    def __init__(self, database: Database, handlers: Handlers) -> None:
        self.database = database
        self.consumer = Consumer(database.schema, database, handlers, settings())
        self._offsets: dict[str, int] = {}

    async def deliver(self, *events: Event, times: int = 1, correlation_id: str | None = None) -> None:
        """Deliver `events` as one batch, `times` times, as after a lost acknowledgement."""
        records = [event_record(event, correlation_id=correlation_id) for event in events]
        for _ in range(times):
            await self.deliver_records(records)

    async def deliver_records(self, records: Sequence[Record]) -> None:
        numbered = []
        for record in records:
            offset = self._offsets.get(record.topic, 0)
            self._offsets[record.topic] = offset + 1
            numbered.append(record._replace(offset=offset))
        await self._own({record.topic for record in numbered})
        await self.consumer.settle(numbered)

    async def _own(self, topics: set[str]) -> None:
        await self.consumer.take_over([TopicPartition(topic, 0) for topic in sorted(topics)])

    async def emitted(self, *types: type[Event]) -> list[Any]:
        """Return the decoded events of the outbox, oldest first. `types`: only events of these types (default: all)."""
        return [m.data for m in await self.emitted_messages() if not types or type(m.data) in types]

    async def emitted_messages(self) -> list[Message[Event]]:
        async with self.database.reading() as connection:
            source = await outgoing(connection)
            rows = await connection.fetch(f"SELECT {WIRE_COLUMNS} FROM {source} ORDER BY seq")  # noqa: S608
        found = []
        for wire in (wire for row in rows for wire in wires(row)):
            headers = dict(wire.headers)
            cls = by_type(headers["ce_type"].decode())
            assert cls is not None
            data = decoder(cls).decode(wire.value)
            found.append(
                Message(
                    id=headers["ce_id"].decode(),
                    data=data,
                    correlation_id=headers["ce_correlationid"].decode(),
                    causes=tuple(getattr(data, "causes", ())),
                    record=Record(wire.topic, 0, 0, None, None, ()),
                )
            )
        return found

    async def clear_outbox(self) -> None:
        """Delete the outbox, as the relay does after it has sent the rows."""
        await self.database.pool.execute("DELETE FROM outbox")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with self.database.transaction() as tx:
            yield tx
