"""One pass over all records of all topics, for several checks at once. Memory use is constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from shell.kafka.topics import is_inbound

PROGRESS_EVERY_SECONDS: Final = 2.0
STANDSTILL_SECONDS_MAX: Final = 30.0


class RecordCheck(Protocol):
    """A check that receives every record."""

    def check(self, record: Any) -> None: ...


async def list_topics(address: str) -> list[str]:
    """Every topic to which the platform writes, with the providers' own topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        return sorted(t for t in await admin.list_topics() if not t.startswith("__") and not is_inbound(t))
    finally:
        await admin.close()


async def scan(address: str, checks: Sequence[RecordCheck], say: Callable[[str], None]) -> int:
    """Give every record that is on the topics now to all `checks`; returns the number of records. Raises TimeoutError
    when the broker stops answering."""
    topics = await list_topics(address)
    kafka = AIOKafkaConsumer(*topics, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await kafka.start()
    try:
        return await _read(kafka, checks, say)
    finally:
        await kafka.stop()


async def _read(kafka: AIOKafkaConsumer, checks: Sequence[RecordCheck], say: Callable[[str], None]) -> int:
    partitions = sorted(kafka.assignment())
    begins, ends = await kafka.beginning_offsets(partitions), await kafka.end_offsets(partitions)
    total, done = sum(ends.values()) - sum(begins.values()), 0
    moved_at = reported_at = monotonic()
    left = {partition: ends[partition] for partition in partitions if begins[partition] < ends[partition]}
    while left:
        fetched = await kafka.getmany(timeout_ms=500, max_records=5_000)
        done += _check_all(fetched, checks)
        now = monotonic()
        moved_at = now if fetched else moved_at
        if now - moved_at > STANDSTILL_SECONDS_MAX:
            raise TimeoutError(f"the broker gave nothing for {STANDSTILL_SECONDS_MAX:.0f} s")
        if now - reported_at > PROGRESS_EVERY_SECONDS:
            reported_at = now
            say(f"{done:,} of {total:,} records read")
        left = await _unfinished(kafka, left)
    return done


def _check_all(fetched: Mapping[TopicPartition, Sequence[Any]], checks: Sequence[RecordCheck]) -> int:
    count = 0
    for records in fetched.values():
        for record in records:
            for each in checks:
                each.check(record)
        count += len(records)
    return count


async def _unfinished(kafka: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The partitions with a position below the end. After compaction the last offset may have no record."""
    return {partition: end for partition, end in ends.items() if await kafka.position(partition) < end}
