"""Read records from Kafka, and handle each batch in one committed transaction, exactly once in effect.

A batch is *settled* when its PostgreSQL transaction is committed: fence, inbox, handlers, outbox. The fence proves that
this process still owns the partitions and that no operator moved them. The inbox drops events that were handled before.
The positions that count are in `consumer_offsets`; the commit to Kafka comes later and is advisory. A record that
cannot be processed is parked with its reason. A bug is located by halving the batch (`shell.halving`). While the
database or the broker is away, the consumer waits. Nothing is skipped.
"""

import asyncio
import logging
import traceback
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from common.errors import BadMessage
from common.message import Record

from shell import metrics, telemetry
from shell.faults import crash_point
from shell.halving import apply_by_halves
from shell.kafka import client as kafka
from shell.kafka.dispatch import Handlers, dispatch
from shell.kafka.liveness import ClientEnded, require_running
from shell.kafka.positions import LOST_POSITION, Fenced, Positions
from shell.kafka.retention import RetentionWatch
from shell.settings import Settings
from shell.store.database import Database
from shell.store.failures import UNAVAILABLE, is_unavailable
from shell.store.parked import park

log = logging.getLogger(__name__)
TRIES_MAX: Final = 5
BACKLOG_RECORDS: Final = 100  # a batch of this size shows a backlog
HURRY_SECONDS: Final = 5.0  # longer than such a batch takes on a busy machine
BACKOFF_SECONDS_MIN: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 10.0
LIGHTEN_BY: Final = 8


class Consumer:
    """Runs `handlers` over their topics for one service. `name`: the Kafka group, and the consumer in the inbox.

    After a batch of less than `gather_records` records it pauses for `gather_seconds`, so that the next batch is
    larger. `trouble`: the error for which it waits. `settled`: a count of settled batches, by which the watchdog sees
    progress.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        handlers: Handlers,
        settings: Settings,
        gather_seconds: float = 0.0,
        gather_records: int = 0,
    ) -> None:
        self.name = name
        self.gather_seconds = gather_seconds
        self.gather_records = gather_records
        self.database = database
        self.handlers = handlers
        self.settings = settings
        self.positions = Positions(name, database)
        self.retention = RetentionWatch(name, settings)
        self.assigned = False
        self.trouble: str | None = None
        self.settled = 0
        self._records_max = settings.batch_records_max
        self._kafka: AIOKafkaConsumer | None = None
        self._backoff_seconds = BACKOFF_SECONDS_MIN

    async def run(self) -> None:
        """Read and settle batches until cancelled. After an error, wait and connect again."""
        while True:
            try:
                await self._run_connected()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - every error is logged and waited for
                if isinstance(error, ClientEnded):
                    log.warning("consumer %s: %s", self.name, error)
                    metrics.replaced.labels(self.database.schema, "consumer").inc()
                await self._wait_after(error)
            finally:
                self.assigned = False
                if self._kafka is not None:
                    await asyncio.shield(self._stop())

    def next_offsets(self) -> dict[TopicPartition, int | None] | None:
        """Return the next offset of each assigned partition (None: from the beginning). Stopped partitions are left
        out, since they wait for an operator. Returns None if the process has no partition."""
        assigned = self._kafka.assignment() if self._kafka is not None else ()
        return self.positions.next_offsets(assigned) if assigned else None

    def lighten(self) -> None:
        """Take fewer records at once for a while. A batch that is only slow then makes progress in parts."""
        self._records_max = max(1, self._records_max // LIGHTEN_BY)

    def _join_for_new_topics(self, client: AIOKafkaConsumer, before: frozenset[str]) -> frozenset[str]:
        """Join the group once more for new topics. Return the topics for which the client has joined.

        A static member that comes back gets its earlier assignment, even if more topics exist by now (KIP-345)."""
        wanted = frozenset(client.subscription())
        if not self.settings.member or not client.assignment() or wanted == before:
            return before
        if wanted - {tp.topic for tp in client.assignment()}:
            kafka.join_again(client)
        return wanted

    async def _stop(self) -> None:
        client, self._kafka = self._kafka, None
        if client is not None:
            await kafka.stop(client)

    async def _run_connected(self) -> None:
        client = kafka.consumer(self.settings, self.name)
        client.subscribe(pattern=self.handlers.pattern(), listener=_Listener(self))
        self._kafka = client
        await kafka.answer_of(client.start())
        joined_for: frozenset[str] = frozenset()
        while True:
            joined_for = self._join_for_new_topics(client, joined_for)
            records = await self._fetch(client)
            if records is None:
                continue
            if not records:
                self.trouble = None
                continue
            if await self._settle_or_take_over(client, records):
                await self._commit_to_kafka(client, records)
                if len(records) < min(self.gather_records, self.settings.batch_records_max):
                    await asyncio.sleep(self.gather_seconds)

    async def _fetch(self, client: AIOKafkaConsumer) -> list[Record] | None:
        """Fetch and return the records to settle next. None: the broker did not know a position of the client, so the
        client got the stored positions again."""
        await self.positions.resume_released(client)
        try:
            fetched = await kafka.answer_of(
                client.getmany(timeout_ms=self.settings.poll_ms, max_records=self._records_max)
            )
        except LOST_POSITION as error:  # the client never chooses a position itself
            await self.positions.regain(client, error)
            return None
        require_running(client)
        self.assigned = bool(client.assignment())
        fetched = {tp: records for tp, records in fetched.items() if await stands_behind(client, tp, records)}
        return await self.positions.unsettled(client, fetched)

    async def _settle_or_take_over(self, client: AIOKafkaConsumer, records: Sequence[Record]) -> bool:
        """Settle the records, and return whether they are settled. If not, the assigned partitions are taken over, and
        the client continues at their stored positions. Raises a bug of `settle`, and any error of the take-over."""
        try:
            await self.settle(records)
        except Fenced:
            metrics.fenced.labels(self.name).inc()
            await self.take_over(client.assignment())
            return False
        except Exception as error:
            if not _passes(error):
                raise
            await self._wait_after(error)
            await self.take_over(client.assignment())
            return False
        self.trouble, self._backoff_seconds = None, BACKOFF_SECONDS_MIN
        self._records_max = min(self._records_max * 2, self.settings.batch_records_max)
        return True

    async def _wait_after(self, error: BaseException) -> None:
        self.trouble = type(error).__name__
        level = logging.WARNING if _passes(error) else logging.ERROR
        log.log(level, "consumer %s waits %.1f s: %s", self.name, self._backoff_seconds, type(error).__name__)
        await asyncio.sleep(self._backoff_seconds)
        self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_SECONDS_MAX)

    async def _commit_to_kafka(self, client: AIOKafkaConsumer, records: Sequence[Record]) -> None:
        """Commit the offsets after `records` to Kafka, for tools that show the lag. The consumer never reads them."""
        ends = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        assigned = client.assignment()
        try:
            await kafka.answer_of(client.commit({tp: end for tp, end in ends.items() if tp in assigned}))
        except KafkaError:
            log.debug("advisory commit of %s failed", self.name)

    async def take_over(self, partitions: Collection[TopicPartition]) -> None:
        """Become the owner of `partitions` (see `Positions.take_over`)."""
        await self.positions.take_over(self._kafka, partitions)

    def reasons(self) -> list[str]:
        """Return the problems of this consumer for the operator: the error for which it waits, stopped partitions, and
        topics that it reads too late."""
        waits = [self.trouble] if self.trouble else []
        return [*waits, *self.positions.reasons(), *self.retention.reasons()]

    async def settle(self, records: Sequence[Record]) -> None:
        """Process `records` in one transaction. After a bug, process them in halves, down to one record, which is
        parked. Raises Fenced, and the error of a store that is unavailable."""
        await apply_by_halves(records, self._apply, self._park, passing=(Fenced,), bug_tries_max=TRIES_MAX)

    async def _apply(self, records: Sequence[Record]) -> None:
        started = monotonic()
        if len(records) >= BACKLOG_RECORDS:
            self.database.hurry(HURRY_SECONDS)
        async with self.database.transaction() as tx:
            ends = await self.positions.fence(tx, records)
            crash_point("after_fence")
            with telemetry.batch_span(self.name, (r.header("traceparent") for r in records), len(records)):
                await dispatch(tx, self.name, self.handlers, records)
        self._count_settled(ends, len(records), started)

    async def _park(self, records: Sequence[Record], error: Exception) -> None:
        started = monotonic()
        (record,) = records
        reason = error.reason if isinstance(error, BadMessage) else "bug"
        log.error(
            "parked %s[%d]@%d in %s: %s %s at %s",
            record.topic,
            record.partition,
            record.offset,
            self.name,
            reason,
            type(error).__name__,
            _where(error),
        )
        async with self.database.transaction() as tx:
            ends = await self.positions.fence(tx, [record])
            await park(tx, self.name, record, reason, type(error).__name__)
        metrics.parked.labels(self.name, reason).inc()
        self._count_settled(ends, 1, started)

    def _count_settled(self, ends: Mapping[TopicPartition, int], count: int, started: float) -> None:
        self.positions.moved(ends)
        self.settled += 1
        metrics.batch(self.name, count, monotonic() - started)


async def stands_behind(client: AIOKafkaConsumer, tp: TopicPartition, records: Sequence[Any]) -> bool:
    """Return whether the client would continue after these records. A take-over of another task may have moved it since
    they were fetched."""
    return tp in client.assignment() and bool(await client.position(tp) > records[-1].offset)


def _passes(error: BaseException) -> bool:
    """Whether the consumer waits after this error without reporting a bug: a temporary one, or any error of Kafka."""
    return is_unavailable(error) or isinstance(error, KafkaError)


def _where(error: BaseException) -> str:
    """Return file and line of the last frame of an error. Its message is left out, because it may name a person."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Do nothing: the fence rejects a late batch of these partitions."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        try:
            await self._consumer.take_over(assigned)
        except (*UNAVAILABLE, KafkaError):  # the store or the broker is away: the next batch is fenced
            self._consumer.positions.disown(assigned)
