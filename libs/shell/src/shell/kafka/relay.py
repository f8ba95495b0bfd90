"""Send the outbox to Kafka, in order per key, by one process at a time.

The relay holds a session lock on its own connection. A process that dies loses the lock at once. A process that has
lost its connection can neither read nor delete. The relay sends the rows that it selected, waits for every
acknowledgement and then deletes them by `seq`. After a crash in between, the rows are sent again. Receivers tolerate a
repeated event, and no event is lost.

A connection may also hang. So the relay uses it at least every `relay_beat_seconds`, also while it waits for the
broker, and gives up a statement after `relay_statement_seconds_max`. The server frees the lock after
`relay_idle_seconds_max` of silence. By then this relay has stopped its producer.

A topic may be *paced* (contracts/topics.yaml). While a consumer that moves is far behind, only urgent rows are sent.
Other rows wait in the outbox, where a newer state of a person replaces the pending one. In Kafka nothing is replaced.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from common.errors import Unavailable

from shell import metrics
from shell.faults import crash_point
from shell.kafka import client
from shell.kafka.liveness import require_running
from shell.kafka.pace import Pace
from shell.settings import Settings
from shell.store.database import Database
from shell.store.failures import is_unavailable
from shell.store.outbox import OUTBOX_CHANNEL, WIRE_COLUMNS, Wire, outgoing, wires

T = TypeVar("T")
log = logging.getLogger(__name__)
RELAY_TASK: Final = "relay"
SELECT_MAX: Final = 500
EVENTS_MAX: Final = 1_000
IDLE_SECONDS: Final = 0.5  # a fallback: commits of this process and notices of others wake the relay
HELD_SECONDS: Final = 0.05
GATHER_SECONDS: Final = 0.015  # the pause after a few rows; rows written meanwhile are sent together
FEW_ROWS: Final = 100
LOCK_RETRY_SECONDS: Final = 0.5
BATCH_BYTES: Final = 512 * 1024
HEADER_BYTES_MAX: Final = 2048
SLOW_SECONDS: Final = 5.0
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('shouwang-relay'))"
# The oldest rows in order, until they hold $2 events.
_SELECT: Final = """
SELECT seq, {columns} FROM (
  SELECT *, sum(events) OVER (ORDER BY seq) - events AS before FROM (
    SELECT * FROM {source} {condition} ORDER BY seq LIMIT $1) AS oldest) AS counted
WHERE before < $2 ORDER BY seq
"""
_DELETE: Final = """
DELETE FROM outbox WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM outbox WHERE seq = ANY($1::bigint[]) ORDER BY topic, key FOR UPDATE SKIP LOCKED))
"""


class Relay:
    """The relay of one process. `active`: it holds the lock and sends.

    `moves` grows with each sent group of rows. It also grows while another process has the lock, or while rows wait
    for a slow consumer. So the watchdog sees progress. `trouble`: the class of the error since which it has not
    worked; None while it works or another process does.
    """

    def __init__(self, database: Database, settings: Settings, pace: Pace) -> None:
        self.database = database
        self.settings = settings
        self.pace = pace
        self.active = False
        self.moves = 0
        self.trouble: str | None = None
        self._wake = asyncio.Event()
        database.after_commit.append(self._wake.set)

    async def run(self) -> None:
        """Send rows until cancelled. After an error, wait and connect again."""
        while True:
            try:
                await self._run_once_connected()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - every error is logged, and the relay starts again
                self.trouble = type(error).__name__
                known = is_unavailable(error) or isinstance(error, KafkaError)
                log.log(
                    logging.WARNING if known else logging.ERROR,
                    "relay of %s: %r",
                    self.database.schema,
                    error,
                )
                await asyncio.sleep(LOCK_RETRY_SECONDS)

    async def _run_once_connected(self) -> None:
        connection = await self.database.connect()
        try:
            while not await connection.fetchval(_LOCK):
                self.trouble = None  # another replica relays
                self.moves += 1
                await asyncio.sleep(LOCK_RETRY_SECONDS)
            producer = client.producer(self.settings)
            try:
                await self._holding(connection, client.answer_of(producer.start()))
                await connection.add_listener(OUTBOX_CHANNEL, lambda *_: self._wake.set())
                self.active = self.database.relays_here = True
                await self._pump(connection, producer)
            finally:
                self.active = self.database.relays_here = False  # the lock may be lost already
                await client.stop(producer)  # unsent rows are still in the outbox
        finally:
            connection.terminate()

    async def _holding(self, connection: asyncpg.Connection, wanted: Coroutine[Any, Any, T]) -> T:
        """Await `wanted`, which may wait for the broker, and return its result. Meanwhile use the connection at every
        beat, so that the lock is kept. If the connection is lost, and so the lock, the next beat raises its error."""
        waiting = asyncio.create_task(wanted, name=RELAY_TASK)  # a planned crash finds its task by this name
        try:
            while not (await asyncio.wait({waiting}, timeout=self.settings.relay_beat_seconds))[0]:
                await connection.execute("SELECT 1")
            return waiting.result()
        finally:
            waiting.cancel()

    async def _pump(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        source = await outgoing(connection)
        everything = _SELECT.format(columns=WIRE_COLUMNS, source=source, condition="")
        only_urgent = _SELECT.format(columns=WIRE_COLUMNS, source=source, condition="WHERE urgent")
        while True:
            self._wake.clear()
            held = await self._holding(connection, self.pace.holds())
            rows = await connection.fetch(only_urgent if held else everything, SELECT_MAX, EVENTS_MAX)
            self.trouble = None
            if not rows:
                self.moves += held
                await self._idle()
                continue
            require_running(producer)
            events = [wire for row in rows for wire in wires(row)]
            await self._holding(connection, client.answer_of(self._send(producer, events)))
            crash_point("before_outbox_delete")
            await connection.execute(_DELETE, [row["seq"] for row in rows])
            self.moves += 1
            metrics.relayed.labels(self.database.schema).inc(len(events))
            if len(rows) < FEW_ROWS:
                await asyncio.sleep(GATHER_SECONDS)

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(HELD_SECONDS if self.pace.holding else IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send(self, producer: AIOKafkaProducer, events: Sequence[Wire]) -> None:
        """Send all events, in order per key, and wait for the acknowledgements. Raises KafkaError if one fails."""
        started = monotonic()
        sending = await _send_in_batches(producer, events)
        for topic, partition, count, future in sending:
            acknowledged = await future
            crash_point("after_send")  # some are acknowledged, some are not
            if acknowledged.offset >= 0:  # below 0: the broker knows the batch and no longer its place
                self.pace.sent(topic, partition, acknowledged.offset + count)
        if monotonic() - started > SLOW_SECONDS:
            log.warning("the broker took %.1f s for %d events", monotonic() - started, len(events))


class _Sending(NamedTuple):
    """A batch on its way to one partition. `events`: their number."""

    topic: str
    partition: int
    events: int
    future: "asyncio.Future[Any]"


async def _send_in_batches(producer: AIOKafkaProducer, events: Sequence[Wire]) -> list[_Sending]:
    pending: dict[tuple[str, int], BatchBuilder] = {}
    sending: list[_Sending] = []
    for topic, name, value, headers in events:
        key = name.encode()
        partition = await _partition(producer, topic, key)
        batch = pending.get((topic, partition))
        if batch is not None and batch.size() + len(value) + HEADER_BYTES_MAX > BATCH_BYTES:
            sending.append(await _hand_over(producer, topic, partition, batch))
            batch = None
        if batch is None:
            batch = pending[topic, partition] = producer.create_batch()
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            raise MessageSizeTooLargeError(f"an event for {topic} has {len(value)} bytes")
    for (topic, partition), batch in pending.items():
        sending.append(await _hand_over(producer, topic, partition, batch))
    return sending


async def _hand_over(producer: AIOKafkaProducer, topic: str, partition: int, batch: BatchBuilder) -> _Sending:
    events = batch.record_count()
    return _Sending(topic, partition, events, await producer.send_batch(batch, topic, partition=partition))


async def _partition(producer: AIOKafkaProducer, topic: str, key: bytes) -> int:
    partitions = producer.client.cluster.partitions_for_topic(topic)
    if not partitions:
        partitions = await producer.partitions_for(topic)
        if not partitions:
            raise Unavailable(f"topic {topic} does not exist")
    return client.partition_of(key, len(partitions))
