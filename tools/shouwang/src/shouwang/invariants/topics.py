"""Reads all records of the topics to check once, for several checks. Memory use is constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from shell.kafka import client
from shell.kafka.topics import is_inbound
from shell.settings import Settings

PROGRESS_EVERY_SECONDS: Final = 2.0
STANDSTILL_SECONDS_MAX: Final = 30.0


class RecordCheck(Protocol):
    """A check that receives every record."""

    def check(self, record: Any) -> None: ...


async def list_topics(settings: Settings) -> list[str]:
    """Return the names of all topics except the inbound topics of sources and the internal topics of Kafka."""
    admin = client.admin(settings)
    await admin.start()
    try:
        return sorted(t for t in await admin.list_topics() if not t.startswith("__") and not is_inbound(t))
    finally:
        await admin.close()


async def scan(
    settings: Settings,
    checks: Sequence[RecordCheck],
    say: Callable[[str], None],
    is_wanted: Callable[[str], bool] = lambda topic: True,
) -> int:
    """Give every record on the topics of `list_topics` to all `checks`; returns the number of records.

    `is_wanted(topic)`: whether to read this topic. It reads at least to the ends of the topics at its start. `say` gets
    each line of progress. Raises TimeoutError when the broker stops answering.
    """
    topics = [topic for topic in await list_topics(settings) if is_wanted(topic)]
    kafka = client.consumer(settings, None)
    kafka.subscribe(topics)
    await kafka.start()
    try:
        return await _read(kafka, checks, say)
    finally:
        await kafka.stop()


async def _read(kafka: AIOKafkaConsumer, checks: Sequence[RecordCheck], say: Callable[[str], None]) -> int:
    partitions = sorted(kafka.assignment())
    begins, ends = await kafka.beginning_offsets(partitions), await kafka.end_offsets(partitions)
    progress = _Progress(sum(ends.values()) - sum(begins.values()), say)
    left = {partition: ends[partition] for partition in partitions if begins[partition] < ends[partition]}
    while left:
        fetched = await kafka.getmany(timeout_ms=500, max_records=5_000)
        progress.add(_check_all(fetched, checks))
        left = await _unfinished(kafka, left)
    return progress.done


class _Progress:
    """Counts the records that were read, and reports the count every PROGRESS_EVERY_SECONDS."""

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self.done = 0
        self._total = total
        self._say = say
        self._moved_at = self._reported_at = monotonic()

    def add(self, records: int) -> None:
        """Count the records of one fetch. Raises TimeoutError after STANDSTILL_SECONDS_MAX without a record."""
        now = monotonic()
        self.done += records
        if records:
            self._moved_at = now
        elif now - self._moved_at > STANDSTILL_SECONDS_MAX:
            raise TimeoutError(f"the broker gave nothing for {STANDSTILL_SECONDS_MAX:.0f} s")
        if now - self._reported_at > PROGRESS_EVERY_SECONDS:
            self._reported_at = now
            self._say(f"{self.done:,} of {self._total:,} records read")


def _check_all(fetched: Mapping[TopicPartition, Sequence[Any]], checks: Sequence[RecordCheck]) -> int:
    count = 0
    for records in fetched.values():
        for record in records:
            for each in checks:
                each.check(record)
        count += len(records)
    return count


async def _unfinished(kafka: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the partitions whose position is below their end. After compaction the last offset may have no record."""
    return {partition: end for partition, end in ends.items() if await kafka.position(partition) < end}
