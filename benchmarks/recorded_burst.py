"""Keeps the records of a burst on disk, so that the raw limit is measured with as many records of the same size.

The burst pushes its changes over HTTP. They are kept as records of the inbound topics.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from shell.kafka.client import connection
from shell.kafka.topics import inbound_topic
from shell.settings import Settings

from benchmarks.home import HOMES
from benchmarks.kafka import Partition, started, topic_partitions
from benchmarks.people import Events

FOLDER = HOMES / "tape"
INDEX = FOLDER / "index.json"
HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
_encode = msgspec.msgpack.Encoder().encode


class RecordedRecord(msgspec.Struct, array_like=True, gc=False):
    """Key, value and headers of one Kafka record."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Spans(NamedTuple):
    """Offsets per partition before and after a burst. A partition without a start was created during the burst."""

    starts: Mapping[Partition, int]
    ends: Mapping[Partition, int]

    def of_topic(self, topic: str) -> dict[Partition, tuple[int, int]]:
        """Start and end offset of every partition of a topic that received a record."""
        spans = {partition: (self.starts.get(partition, 0), end) for partition, end in self.ends.items()}
        return {partition: span for partition, span in spans.items() if partition[0] == topic and span[0] < span[1]}

    def counts(self) -> dict[str, int]:
        """Records per topic, for the topics that received one."""
        counts: defaultdict[str, int] = defaultdict(int)
        for partition, end in self.ends.items():
            counts[partition[0]] += end - self.starts.get(partition, 0)
        return {topic: count for topic, count in counts.items() if count}


def write_topic(topic: str, records: Iterable[RecordedRecord]) -> int:
    """Write all records of one topic and return their number."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    count = 0
    with (FOLDER / topic).open("wb") as file:
        for record in records:
            file.write(_framed(_encode(record)))
            count += 1
    return count


def _framed(content: bytes) -> bytes:
    """The length of the content in four bytes, then the content."""
    return len(content).to_bytes(4, "big") + content


def read_topic(topic: str) -> Iterator[RecordedRecord]:
    """The records of one topic in their order."""
    decode = msgspec.msgpack.Decoder(RecordedRecord).decode
    with (FOLDER / topic).open("rb") as file:
        while head := file.read(4):
            yield decode(file.read(int.from_bytes(head, "big")))


def inbound_records(changes: Events) -> dict[str, list[RecordedRecord]]:
    """The changes as records on the inbound topics of their sources."""
    found: dict[str, list[RecordedRecord]] = {}
    for change in changes:
        record = RecordedRecord(change.id.encode(), change.body, HEADERS)
        found.setdefault(inbound_topic(change.source), []).append(record)
    return found


async def record_burst(
    changes: Events, kafka: Settings, spans: Spans, readers: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Write the changes and all records of `spans`. Returns the number of records per topic.

    `readers`: the topics that each service reads. Compaction may have removed records meanwhile. Records of the same
    topic are then repeated, so that number and size stay the same.
    """
    counts = spans.counts()
    for topic, count in counts.items():
        records = await _read_spans(kafka, spans.of_topic(topic))
        write_topic(topic, islice(cycle(records), count))
    inbound = {topic: write_topic(topic, records) for topic, records in inbound_records(changes).items()}
    counts |= inbound  # the number of records in the file
    INDEX.write_text(json.dumps({"counts": counts, "readers": readers}))
    return counts


def load_index() -> dict[str, Any]:
    """`{"counts": {topic: n}, "readers": {service: [topics]}}` of the recorded burst."""
    found: dict[str, Any] = json.loads(INDEX.read_text())
    return found


async def _read_spans(kafka: Settings, spans: Mapping[Partition, tuple[int, int]]) -> list[RecordedRecord]:
    client = AIOKafkaConsumer(**connection(kafka), enable_auto_commit=False, auto_offset_reset="earliest")
    async with started(client) as consumer:
        consumer.assign(topic_partitions(spans))
        for partition, (start, _) in spans.items():
            consumer.seek(TopicPartition(*partition), start)
        return await _read_to_ends(consumer, {partition: end for partition, (_, end) in spans.items()})


async def _read_to_ends(consumer: AIOKafkaConsumer, ends: dict[Partition, int]) -> list[RecordedRecord]:
    found: list[RecordedRecord] = []
    unfinished = set(ends)
    while unfinished:
        for partition, records in (await consumer.getmany(timeout_ms=1_000)).items():
            end = ends[partition.topic, partition.partition]
            found.extend(RecordedRecord(r.key, r.value, list(r.headers)) for r in records if r.offset < end)
            if records[-1].offset >= end - 1:
                unfinished.discard((partition.topic, partition.partition))
    return found
