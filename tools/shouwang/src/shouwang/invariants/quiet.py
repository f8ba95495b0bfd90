"""Whether everything that was said has been heard: outboxes empty, offsets at the ends, no job with work left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from shell import clock
from shell.kafka.topics import is_inbound
from shell.store.database import Database

Databases = Mapping[str, Database]
LOOK_EVERY_SECONDS: Final = 0.3

# Per service: rows whose day has come and that its job has not taken yet; `$1` is today, `$2` now. None: no such job.
DUE: Final[dict[str, str | None]] = {
    "ingestion": None,
    "supervision": None,
    "identification": "SELECT count(*) FROM persons WHERE next_edge_on <= $1 AND $2::timestamptz IS NOT NULL",
    "assessment": "SELECT count(*) FROM needs WHERE act_on <= $1 AND $2::timestamptz IS NOT NULL",
    "dispatch": """SELECT (SELECT count(*) FROM plans WHERE act_on <= $1)
                        + (SELECT count(*) FROM tasks WHERE act_at <= $2)""",
    "subsidy": """SELECT count(*) FROM accounts WHERE next_change_month <= $1 AND $2::timestamptz IS NOT NULL""",
}


async def what_waits(databases: Databases, kafka: AIOKafkaConsumer) -> list[str]:
    """In words, what is still under way; empty when nothing is."""
    found: list[str] = []
    today, now = clock.today(), clock.now()
    for name, database in databases.items():
        async with database.reading() as connection:
            pending = await connection.fetchval("SELECT count(*) FROM outbox")
            offsets = await connection.fetch("SELECT topic, part, next_offset FROM consumer_offsets")
            stopped = await connection.fetchval("SELECT count(*) FROM consumer_offsets WHERE stopped IS NOT NULL")
            due = DUE[name]
            work = await connection.fetchval(due, today, now) if due else 0
        if pending:
            found.append(f"{name}: {pending} events wait to be sent")
        if work:
            found.append(f"{name}: {work} rows whose day has come")
        if stopped:
            found.append(f"{name}: {stopped} partitions are stopped, see `shouwang offsets list {name}`")
        read = {TopicPartition(row["topic"], row["part"]): row["next_offset"] for row in offsets}
        if name == "ingestion":
            read = dict.fromkeys(await inbound_partitions(kafka), None) | read
        behind = await _behind(kafka, read)
        if behind:
            found.append(f"{name}: {behind} records wait to be read")
    return found


async def inbound_partitions(kafka: AIOKafkaConsumer) -> list[TopicPartition]:
    """The partitions of all topics that sources write to, also of those that ingestion has not seen yet."""
    cluster = await kafka._client.fetch_all_metadata()
    return [
        TopicPartition(topic, part)
        for topic in sorted(cluster.topics())
        if is_inbound(topic)
        for part in sorted(cluster.partitions_for_topic(topic) or ())
    ]


async def _behind(kafka: AIOKafkaConsumer, read: Mapping[TopicPartition, int | None]) -> int:
    if not read:
        return 0
    begins, ends = await kafka.beginning_offsets(list(read)), await kafka.end_offsets(list(read))
    return sum(max(0, ends[tp] - (begins[tp] if offset is None else offset)) for tp, offset in read.items())


async def wait_until_quiet(databases: Databases, kafka: AIOKafkaConsumer, seconds: float) -> list[str]:
    """Look until nothing waits twice in a row, at most so long. Returns what waits at the end."""
    deadline, before = monotonic() + seconds, True
    while True:
        waiting = await what_waits(databases, kafka)
        if not waiting and not before:
            return []
        if monotonic() > deadline:
            return waiting
        before = bool(waiting)
        await asyncio.sleep(LOOK_EVERY_SECONDS)
