"""Runs a hop: a process that stands for one service when the raw limit is measured.

A hop reads and stores its recorded input records, and sends its recorded output records.

`python -m benchmarks.limit.hop SERVICE KAFKA DATABASE_URL` prints `ready` and waits for a line on its input. It ends
when all its records are stored and sent, and prints this instant in monotonic seconds.
"""

import asyncio
import json
import sys
from collections import Counter
from time import monotonic
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from shell.kafka.client import connection
from shell.settings import Settings

from benchmarks.effects import Headers
from benchmarks.kafka import list_partitions, started, topic_partitions
from benchmarks.limit.hops import Hop, due_count, hops, stream_of
from benchmarks.recorded_burst import RecordedRecord, load_index, read_topic

BATCH_BYTES = 512 * 1024
RECORD_OVERHEAD_BYTES = 2048  # upper limit for key, headers and framing
TABLE = "CREATE TABLE IF NOT EXISTS raw (topic text NOT NULL, key bytea, value bytea, headers bytea NOT NULL)"


class Outputs:
    """The output records of a hop, sent in recorded order and in proportion to the input."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._records = {
            stream: [(topic, list(read_topic(topic))) for topic in topics] for stream, topics in hop.outputs.items()
        }
        self._sent: dict[str, int] = {}

    async def send_due(self, producer: AIOKafkaProducer, stream: str, taken: int) -> None:
        """Send the records that are due after `taken` records of `stream` are stored."""
        inputs = self._hop.count_of(stream)
        for topic, records in self._records.get(stream, ()):
            sent, due = self._sent.get(topic, 0), due_count(taken, inputs, len(records))
            self._sent[topic] = due
            await send_records(producer, topic, records[sent:due])


async def send_records(producer: AIOKafkaProducer, topic: str, records: list[RecordedRecord]) -> None:
    """Send records as ready-made batches, spread evenly over the partitions."""
    partitions = sorted(await producer.partitions_for(topic))
    sent: list[Any] = []
    for at, partition in enumerate(partitions):
        for batch in _batches(producer, records[at :: len(partitions)]):
            sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


def _batches(producer: AIOKafkaProducer, records: list[RecordedRecord]) -> list[Any]:
    batches = []
    batch = producer.create_batch()
    for record in records:
        size = len(record.value or b"") + RECORD_OVERHEAD_BYTES
        if batch.record_count() and batch.size() + size > BATCH_BYTES:
            batches.append(batch)
            batch = producer.create_batch()
        batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers)
    if batch.record_count():
        batches.append(batch)
    return batches


def _producer(kafka: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection(kafka),
        acks="all",
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=8 * 2**20,
    )


def _consumer(kafka: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **connection(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        fetch_max_bytes=16 * 2**20,
        max_partition_fetch_bytes=4 * 2**20,
    )


def _find_hop(service: str) -> Hop:
    index = load_index()
    return next(hop for hop in hops(index["counts"], index["readers"]) if hop.service == service)


async def run(service: str, address: str, database_url: str) -> None:
    """Store all input records of one service and send its output records."""
    kafka = Settings(kafka=address)
    hop = _find_hop(service)
    database = await asyncpg.connect(database_url)
    await database.execute(TABLE)
    async with started(_producer(kafka)) as producer, started(_consumer(kafka)) as consumer:
        consumer.assign(topic_partitions(await list_partitions(kafka, sorted(hop.inputs))))
        outputs = Outputs(hop)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await _move(hop, consumer, database, producer, outputs)
        print(json.dumps({"service": service, "done_at": monotonic(), "taken": hop.count}), flush=True)
    await database.close()


async def _move(
    hop: Hop, consumer: AIOKafkaConsumer, database: asyncpg.Connection, producer: AIOKafkaProducer, outputs: Outputs
) -> None:
    taken = dict.fromkeys(map(stream_of, hop.inputs), 0)
    while sum(taken.values()) < hop.count:
        fetched = await consumer.getmany(timeout_ms=1_000)
        records = [record for part in fetched.values() for record in part]
        if not records:
            continue
        await database.copy_records_to_table("raw", records=[_row(record) for record in records])
        for stream, count in Counter(stream_of(record.topic) for record in records).items():
            taken[stream] += count
            await outputs.send_due(producer, stream, taken[stream])


def _row(record: ConsumerRecord) -> tuple[str, bytes | None, bytes | None, bytes]:
    return record.topic, record.key, record.value, _packed(record.headers)


def _packed(headers: Headers) -> bytes:
    return b"".join(name.encode() + value for name, value in headers)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:4]))
