"""What a burst left on the topics, kept on disk, so that the raw limit can move the very same bytes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from shell.kafka.topics import inbound_topic

from benchmarks.home import HOMES
from benchmarks.people import Pushed
from benchmarks.places import Place

TAPE = HOMES / "tape"
_encode = msgspec.msgpack.Encoder().encode


class Piece(msgspec.Struct, array_like=True, gc=False):
    """One record: what Kafka carries of it."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def write(name: str, pieces: Iterable[Piece]) -> int:
    """All pieces of one topic; returns how many."""
    TAPE.mkdir(parents=True, exist_ok=True)
    count = 0
    with (TAPE / name).open("wb") as file:
        for piece in pieces:
            encoded = _encode(piece)
            file.write(len(encoded).to_bytes(4, "big") + encoded)
            count += 1
    return count


def read(name: str) -> Iterator[Piece]:
    """The pieces of one topic in their order."""
    decode = msgspec.msgpack.Decoder(Piece).decode
    with (TAPE / name).open("rb") as file:
        while head := file.read(4):
            yield decode(file.read(int.from_bytes(head, "big")))


def inbound(changes: Sequence[Pushed]) -> dict[str, list[Piece]]:
    """The changes as they would lie on the topics of their sources."""
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    found: dict[str, list[Piece]] = {}
    for change in changes:
        piece = Piece(change.id.encode(), change.body, headers)
        found.setdefault(inbound_topic(change.source), []).append(piece)
    return found


async def record(
    changes: Sequence[Pushed],
    kafka: str,
    starts: Mapping[Place, int],
    ends: Mapping[Place, int],
    readers: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """The changes and all that came of them, between `starts` and `ends`; returns how many records per topic.

    `readers`: which topics each service reads.

    The cleaner of a compacted topic may have removed some meanwhile: the last ones are then repeated, so that
    number and size stay what they were.
    """
    wanted: dict[str, int] = {}
    for place, end in ends.items():
        wanted[place[0]] = wanted.get(place[0], 0) + end - starts.get(place, 0)
    for topic in (topic for topic, count in wanted.items() if count):
        places = [place for place in ends if place[0] == topic]
        found = await _read_topic(kafka, {p: (starts.get(p, 0), ends[p]) for p in places})
        while 0 < len(found) < wanted[topic]:
            found.extend(found[: wanted[topic] - len(found)])
        write(topic, found)
    counts = {topic: write(topic, pieces) for topic, pieces in inbound(changes).items()}
    counts |= {topic: count for topic, count in wanted.items() if count}
    (TAPE / "index.json").write_text(json.dumps({"counts": counts, "readers": readers}))
    return counts


def index() -> dict[str, Any]:
    """`{"counts": {topic: n}, "readers": {service: [topics]}}` of the recorded burst."""
    found: dict[str, Any] = json.loads((TAPE / "index.json").read_text())
    return found


async def _read_topic(kafka: str, spans: Mapping[Place, tuple[int, int]]) -> list[Piece]:
    spans = {place: span for place, span in spans.items() if span[0] < span[1]}
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Piece] = []
    try:
        consumer.assign([TopicPartition(*place) for place in spans])
        for place, (start, _) in spans.items():
            consumer.seek(TopicPartition(*place), start)
        open_places = set(spans)
        while open_places:
            for tp, records in (await consumer.getmany(timeout_ms=1_000)).items():
                end = spans[tp.topic, tp.partition][1]
                found.extend(Piece(r.key, r.value, list(r.headers)) for r in records if r.offset < end)
                if records[-1].offset >= end - 1:
                    open_places.discard((tp.topic, tp.partition))
    finally:
        await consumer.stop()
    return found
