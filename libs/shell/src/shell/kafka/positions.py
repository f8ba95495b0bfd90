"""The position of a consumer in its topics, and whether the log still holds the records after it.

`consumer_offsets` is the source of truth: next offset, epoch of the owner, timestamp of the last handled record.
A new owner raises the epoch of its rows. The *fence* moves a row only if its epoch and next offset are unchanged.
The Kafka client never chooses a position. The stored position is compared with the log at every take-over, and when the
broker reports that a position does not exist. If the log does not continue there, the partition is stopped and not
read. The row keeps the reason until an operator decides by `shouwang offsets resume`. Other partitions continue.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from common.message import Record, filled

from shell import metrics
from shell.kafka import client as kafka
from shell.kafka.topics import compacted_topics
from shell.store.database import Database
from shell.store.transaction import Tx

log = logging.getLogger(__name__)
LOST_POSITION: Final = (OffsetOutOfRangeError, NoOffsetForPartitionError)
LOOK_SECONDS_MAX: Final = 10.0  # for the answer of the broker about the ends of its logs
RESUMED_EVERY_SECONDS: Final = 2.0  # how soon an operator's decision is seen
REGAIN_SECONDS: Final = 0.1  # before a position that the broker does not know is looked up again
_LAST_RESUME: Final = "SELECT coalesce(max(resume_id), 0) FROM offset_resumes WHERE consumer = $1"
_NEW_RESUMES: Final = "SELECT resume_id, topic, part FROM offset_resumes WHERE consumer = $1 AND resume_id > $2"
_STOPPED: Final = "SELECT topic, part FROM consumer_offsets WHERE consumer = $1 AND stopped IS NOT NULL"


class Fenced(Exception):
    """This process does not own a partition of the batch, or an operator moved the position."""


class Stored(NamedTuple):
    """A row of `consumer_offsets`. `next_offset`: None before the first record. `epoch`: the number of take-overs and
    resumes. `record_ms`: the timestamp of the record at `next_offset - 1`, in milliseconds since 1970; None if no
    record was handled there, or if it is unknown. `stopped`: the code of a `Stop`; None if the partition is read."""

    next_offset: int | None
    epoch: int
    record_ms: int | None
    stopped: str | None
    stopped_why: str | None


class Log(NamedTuple):
    """The offset of the first record of a partition, and the offset that the next record will have."""

    start: int
    end: int


class Stop(NamedTuple):
    """The reason why a partition is not read. `code`: `recreated` or `records_deleted`; `why`: a sentence for the
    operator."""

    code: str
    why: str


def decide_stop(next_offset: int | None, log_: Log, *, compacted: bool) -> Stop | None:
    """Return a stop if the log does not continue at `next_offset`, else None.

    A compacted topic may start above `next_offset`. Compaction removes only records that a newer record of the same key
    supersedes, and the reader has not passed the newer record."""
    if next_offset is None:
        return None
    if log_.end < next_offset:
        return Stop("recreated", f"its log ends at {log_.end}, below the next offset {next_offset}")
    if log_.start > next_offset and not compacted:
        deleted = f"the records {next_offset} to {log_.start - 1} were deleted before they were read"
        why = f"its log starts at {log_.start}, above the next offset {next_offset}: {deleted}"
        return Stop("records_deleted", why)
    return None


def decide_refilled(record_ms: int, found_ms: int, offset: int) -> Stop | None:
    """Return a stop if the record at `offset` and the one handled there have different timestamps (milliseconds)."""
    if record_ms == found_ms:
        return None
    return Stop("recreated", f"the record at offset {offset} is not the record that was handled there")


class Positions:
    """The positions of one consumer: owned partitions, stopped partitions, and the fence of every batch.

    `compacted`: names of compacted topics; every other topic keeps each record until its retention ends.
    """

    def __init__(self, name: str, database: Database) -> None:
        self.name = name
        self.database = database
        self.compacted = compacted_topics()
        self.stopped: dict[TopicPartition, Stop] = {}
        self._expected: dict[TopicPartition, int | None] = {}
        self._epochs: dict[TopicPartition, int] = {}
        self._picked: dict[TopicPartition, int] = {}  # the epoch when the records of a batch were picked
        self._anchors: dict[TopicPartition, tuple[int, int]] = {}  # last handled record: offset, timestamp
        self._taking = asyncio.Lock()  # the rebalance and the batch loop are different tasks
        self._shown: set[str] = set()  # topics with a metric of stopped partitions
        self._looked_at = 0.0
        self._last_resume: int | None = None  # the newest decision of an operator that this process knows

    def next_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The next offset of each partition that is not stopped (None: from the beginning)."""
        return {tp: self._expected.get(tp) for tp in partitions if tp not in self.stopped}

    def reasons(self) -> list[str]:
        """Return one sentence per stopped partition, for the operator."""
        return [
            f"{tp.topic}[{tp.partition}] is stopped ({stop.code}): {stop.why}"
            for tp, stop in sorted(self.stopped.items())
        ]

    async def take_over(self, client: AIOKafkaConsumer | None, partitions: Collection[TopicPartition]) -> None:
        """Become the owner of `partitions`: later batches of a former owner raise Fenced. The client continues at the
        stored position, or the partition is stopped. Without a client (in tests) nothing is compared. Raises
        TimeoutError and KafkaError of the broker, and errors of the database; then this process owns none of them."""
        if partitions:
            async with self._taking:
                await self._take_over(client, partitions)

    async def regain(self, client: AIOKafkaConsumer, error: KafkaError) -> None:
        """Give the client its stored positions again, after the broker reported that one does not exist."""
        if isinstance(error, NoOffsetForPartitionError):
            async with self._taking:  # a take-over in progress gives it a position
                if all(tp in self._epochs for tp in client.assignment()):
                    return
        log.warning("%s has lost its position: %s", self.name, type(error).__name__)
        await asyncio.sleep(REGAIN_SECONDS)
        await self.take_over(client, client.assignment())

    async def _take_over(self, client: AIOKafkaConsumer | None, partitions: Collection[TopicPartition]) -> None:
        self.disown(partitions)
        if self._last_resume is None:
            self._last_resume = await self.database.pool.fetchval(_LAST_RESUME, self.name)
        rows = await self._raise_epochs(partitions)
        if client is not None:
            logs = await logs_of(client, partitions)
            for tp in sorted(partitions):
                await self._seek(client, tp, rows[tp], logs[tp])
        for tp, row in rows.items():
            self._expected[tp], self._epochs[tp] = row.next_offset, row.epoch
        self._set_metrics()

    def disown(self, partitions: Collection[TopicPartition]) -> None:
        """Forget that this process owns `partitions`. Their next batch raises Fenced; then they are taken over."""
        for tp in partitions:
            self._epochs.pop(tp, None)
            self._anchors.pop(tp, None)
            self.stopped.pop(tp, None)

    async def _raise_epochs(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Stored]:
        ordered = sorted(partitions)
        rows = await self.database.pool.fetch(
            """INSERT INTO consumer_offsets AS c (consumer, topic, part, epoch)
               SELECT $1, t, p, 1 FROM unnest($2::text[], $3::int[]) AS u(t, p)
               ON CONFLICT (consumer, topic, part) DO UPDATE SET epoch = c.epoch + 1
               RETURNING topic, part, next_offset, epoch, record_ms, stopped, stopped_why""",
            self.name,
            [tp.topic for tp in ordered],
            [tp.partition for tp in ordered],
        )
        return {TopicPartition(row["topic"], row["part"]): Stored(*row[2:]) for row in rows}

    async def _seek(self, client: AIOKafkaConsumer, tp: TopicPartition, row: Stored, log_: Log) -> None:
        """Move the client to the position of the row, or stop the partition. The client starts at the last handled
        record, so that its timestamp is compared without a further request."""
        next_offset = log_.start if row.next_offset is None else max(row.next_offset, log_.start)
        known = Stop(row.stopped, row.stopped_why or "") if row.stopped else None
        stop = known or decide_stop(row.next_offset, log_, compacted=tp.topic in self.compacted)
        if stop is not None:
            client.seek(tp, next_offset)
            await self._stop(client, tp, stop, row.epoch, is_new=known is None)
            return
        if row.record_ms is not None and next_offset == row.next_offset and next_offset > log_.start:
            next_offset -= 1
            self._anchors[tp] = next_offset, row.record_ms
        client.seek(tp, next_offset)
        if tp in client.paused():
            client.resume(tp)

    async def _stop(
        self, client: AIOKafkaConsumer, tp: TopicPartition, stop: Stop, epoch: int, *, is_new: bool
    ) -> None:
        client.pause(tp)
        self.stopped[tp] = stop
        log.error(
            "%s stopped reading %s[%d] (%s): %s. Nothing is skipped; decide with `shouwang offsets resume %s %s %d`",
            *(self.name, *tp, stop.code, stop.why, self.name, *tp),
        )
        if is_new:
            await self.database.pool.execute(
                """UPDATE consumer_offsets SET stopped = $5, stopped_why = $6, stopped_at = now()
                   WHERE consumer = $1 AND topic = $2 AND part = $3 AND epoch = $4""",
                *(self.name, *tp, epoch, stop.code, stop.why),
            )

    async def unsettled(
        self, client: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[Any]]
    ) -> list[Record]:
        """Return the records to handle next, without handled records that the client returns again after a seek. The
        first fetch of a partition also shows whether its log was replaced; then the partition is stopped. After a
        take-over the fence rejects these records, because an operator may have moved the position."""
        found: list[Record] = []
        for tp, records in fetched.items():
            if (tp in self._anchors and await self._is_refilled(client, tp, records)) or tp in self.stopped:
                continue
            self._picked[tp] = self._epochs.get(tp, -1)
            expected = self._expected.get(tp) or 0
            found += [
                Record(tp.topic, tp.partition, r.offset, r.key, r.value, filled(r.headers), r.timestamp)
                for r in records
                if r.offset >= expected
            ]
        return found

    async def _is_refilled(self, client: AIOKafkaConsumer, tp: TopicPartition, records: Sequence[Any]) -> bool:
        offset, record_ms = self._anchors[tp]
        if not records or records[-1].offset < offset:
            return False
        del self._anchors[tp]
        handled = next((r for r in records if r.offset == offset), None)  # None: compaction has removed it
        stop = decide_refilled(record_ms, handled.timestamp, offset) if handled is not None else None
        if stop is None:
            return False
        await self._stop(client, tp, stop, self._epochs.get(tp, -1), is_new=True)
        self._set_metrics()
        return True

    async def resume_released(self, client: AIOKafkaConsumer) -> None:
        """Take over assigned partitions that an operator has resumed. Looks once in RESUMED_EVERY_SECONDS."""
        if self._last_resume is None or monotonic() - self._looked_at < RESUMED_EVERY_SECONDS:
            return
        self._looked_at = monotonic()
        assigned = client.assignment()
        self.disown([tp for tp in self.stopped if tp not in assigned])
        await self.take_over(client, (await self._load_resumed() | await self._load_released()) & assigned)
        self._set_metrics()

    async def _load_resumed(self) -> set[TopicPartition]:
        """Return the partitions of decisions since the last look. An idle one has no batch that raises Fenced."""
        rows = await self.database.pool.fetch(_NEW_RESUMES, self.name, self._last_resume)
        self._last_resume = max([row["resume_id"] for row in rows], default=self._last_resume)
        return {TopicPartition(row["topic"], row["part"]) for row in rows}

    async def _load_released(self) -> set[TopicPartition]:
        """Return the partitions that are stopped here and no longer in the database."""
        rows = await self.database.pool.fetch(_STOPPED, self.name) if self.stopped else ()
        return self.stopped.keys() - {TopicPartition(row["topic"], row["part"]) for row in rows}

    def _set_metrics(self) -> None:
        counts = dict.fromkeys(self._shown | {tp.topic for tp in self.stopped}, 0)
        for tp in self.stopped:
            counts[tp.topic] += 1
        for topic, count in counts.items():
            metrics.stopped.labels(self.name, topic).set(count)
        self._shown |= counts.keys()

    async def fence(self, tx: Tx, records: Sequence[Record]) -> dict[TopicPartition, int]:
        """Store the next offsets after `records` in their transaction; return them for `moved`. Raises Fenced."""
        last = {(r.topic, r.partition): r for r in records}
        ordered = sorted(last)
        places = [TopicPartition(*place) for place in ordered]
        moved = await tx.sql.fetch(
            """UPDATE consumer_offsets c SET next_offset = u.next, record_ms = u.record_ms, moved_at = now()
               FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
                 AS u(topic, part, next, record_ms, expected, epoch)
               WHERE c.consumer = $1 AND c.topic = u.topic AND c.part = u.part
                 AND c.epoch = u.epoch AND c.next_offset IS NOT DISTINCT FROM u.expected
               RETURNING 1""",
            self.name,
            [topic for topic, _ in ordered],
            [part for _, part in ordered],
            [last[place].offset + 1 for place in ordered],
            [last[place].timestamp_ms for place in ordered],
            [self._expected.get(tp) for tp in places],
            [self._picked.get(tp, self._epochs.get(tp, -1)) for tp in places],
        )
        if len(moved) != len(ordered):
            raise Fenced
        return {TopicPartition(*place): record.offset + 1 for place, record in last.items()}

    def moved(self, ends: Mapping[TopicPartition, int]) -> None:
        """Remember the next offsets of `fence` after the commit of its transaction."""
        self._expected.update(ends)


async def logs_of(client: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Log]:
    """Return start and end of the log of each partition. Raises TimeoutError and KafkaError of the broker."""
    places = sorted(partitions)
    starts = await kafka.answer_of(client.beginning_offsets(places), LOOK_SECONDS_MAX)
    ends = await kafka.answer_of(client.end_offsets(places), LOOK_SECONDS_MAX)
    return {tp: Log(starts[tp], ends[tp]) for tp in places}
