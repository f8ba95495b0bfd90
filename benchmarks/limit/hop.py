"""One hop of the raw limit, a process of its own: getmany → COPY → produce the next hop's bytes.

`python -m benchmarks.limit.hop SERVICE KAFKA DATABASE_URL` says `ready`, waits for a line, and ends by itself when
it has taken in everything; it prints when it was done.
"""

import asyncio
import json
import sys
from collections import Counter
from time import monotonic
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks import tape
from benchmarks.limit.hops import Hop, due, hops, stream_of
from benchmarks.places import places

BATCH_BYTES = 512 * 1024
TABLE = "CREATE TABLE IF NOT EXISTS raw (topic text NOT NULL, key bytea, value bytea, headers bytea NOT NULL)"


class Puts:
    """The outgoing records of a hop, sent in the order of the tape and in step with what is taken in."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._puts = {
            source: [(topic, list(tape.read(topic))) for topic in topics] for source, topics in hop.puts.items()
        }
        self._sent: dict[str, int] = {}

    async def after(self, producer: AIOKafkaProducer, source: str, taken: int) -> None:
        """Send what is due once `taken` records of `source` are stored."""
        for topic, pieces in self._puts.get(source, ()):
            sent, wanted = self._sent.get(topic, 0), due(taken, self._hop.count_of(source), len(pieces))
            self._sent[topic] = wanted
            await send_pieces(producer, topic, pieces[sent:wanted])


async def send_pieces(producer: AIOKafkaProducer, topic: str, pieces: list[tape.Piece]) -> None:
    """Ready-made batches, round the partitions."""
    parts = sorted(await producer.partitions_for(topic))
    waiting: list[Any] = []
    for at, part in enumerate(parts):
        batch = producer.create_batch()
        for piece in pieces[at :: len(parts)]:
            arguments = {"key": piece.key, "value": piece.value, "timestamp": None, "headers": piece.headers}
            if batch.record_count() and batch.size() + len(piece.value or b"") + 2048 > BATCH_BYTES:
                waiting.append(await producer.send_batch(batch, topic, partition=part))
                batch = producer.create_batch()
            batch.append(**arguments)
        if batch.record_count():
            waiting.append(await producer.send_batch(batch, topic, partition=part))
    await asyncio.gather(*waiting)


async def run(service: str, kafka: str, database_url: str) -> None:
    """Until everything is taken in."""
    index = tape.index()
    hop = next(found for found in hops(index["counts"], index["readers"]) if found.service == service)
    database = await asyncpg.connect(database_url)
    await database.execute(TABLE)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", linger_ms=0, max_batch_size=BATCH_BYTES, max_request_size=8 * 2**20
    )
    await producer.start()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        fetch_max_bytes=16 * 2**20,
        max_partition_fetch_bytes=4 * 2**20,
    )
    await consumer.start()
    consumer.assign([TopicPartition(*place) for place in await places(kafka, sorted(hop.takes))])
    puts = Puts(hop)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await _take(hop, consumer, database, producer, puts)
    print(json.dumps({"service": service, "done_at": monotonic(), "taken": hop.count}), flush=True)
    await consumer.stop()
    await producer.stop()
    await database.close()


async def _take(
    hop: Hop, consumer: AIOKafkaConsumer, database: asyncpg.Connection, producer: AIOKafkaProducer, puts: Puts
) -> None:
    taken = dict.fromkeys(map(stream_of, hop.takes), 0)
    while sum(taken.values()) < hop.count:
        fetched = await consumer.getmany(timeout_ms=1_000)
        records = [record for part in fetched.values() for record in part]
        if not records:
            continue
        rows = [(r.topic, r.key, r.value, b"".join(k.encode() + v for k, v in r.headers)) for r in records]
        await database.copy_records_to_table("raw", records=rows)
        for stream, count in Counter(stream_of(record.topic) for record in records).items():
            taken[stream] += count
            await puts.after(producer, stream, taken[stream])


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:4]))
