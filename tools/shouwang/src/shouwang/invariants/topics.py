"""One pass over everything that lies on the topics, for all who want to look at it. Memory does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from shell.kafka.topics import is_inbound

PROGRESS_EVERY_SECONDS: Final = 2.0
STANDSTILL_SECONDS_MAX: Final = 30.0


class Looker(Protocol):
    """Somebody who wants to see every record."""

    def look(self, record: Any) -> None: ...


async def list_topics(address: str) -> list[str]:
    """Every topic on which the platform writes, the providers' own topics included. Sources write to the others."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        return sorted(t for t in await admin.list_topics() if not t.startswith("__") and not is_inbound(t))
    finally:
        await admin.close()


async def scan(address: str, lookers: Sequence[Looker], say: Callable[[str], None]) -> int:
    """Show every record that lies on the topics now to all `lookers`; returns how many there were. Raises TimeoutError
    when the broker stops answering."""
    topics = await list_topics(address)
    kafka = AIOKafkaConsumer(*topics, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await kafka.start()
    try:
        return await _read(kafka, lookers, say)
    finally:
        await kafka.stop()


async def _read(kafka: AIOKafkaConsumer, lookers: Sequence[Looker], say: Callable[[str], None]) -> int:
    partitions = sorted(kafka.assignment())
    begins, ends = await kafka.beginning_offsets(partitions), await kafka.end_offsets(partitions)
    left = {tp: ends[tp] for tp in partitions if begins[tp] < ends[tp]}
    total, done, moved_at, told_at = sum(ends.values()) - sum(begins.values()), 0, monotonic(), monotonic()
    while left:
        fetched = await kafka.getmany(timeout_ms=500, max_records=5_000)
        for records in fetched.values():
            for record in records:
                for looker in lookers:
                    looker.look(record)
            done += len(records)
        now = monotonic()
        moved_at = now if fetched else moved_at
        if now - moved_at > STANDSTILL_SECONDS_MAX:
            raise TimeoutError(f"the broker gave nothing for {STANDSTILL_SECONDS_MAX:.0f} s")
        if now - told_at > PROGRESS_EVERY_SECONDS:
            told_at = now
            say(f"{done:,} of {total:,} records read")
        # after compaction the last offset need not hold a record: the position counts, not what came
        left = {tp: end for tp, end in left.items() if await _position(kafka, tp) < end}
    return done


async def _position(kafka: AIOKafkaConsumer, tp: TopicPartition) -> int:
    return int(await kafka.position(tp))
