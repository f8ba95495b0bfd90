"""Records of other programs: header names that are not UTF-8, and every kind of compression."""

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from shell.kafka.client import connection
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import Topic
from shell.settings import Settings
from shell.store.database import Database
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.trials.probe import Probe, delete_topic, numbered, probe_database

CODECS = ("gzip", "snappy", "lz4", "zstd")
SENT_SECONDS_MAX = 10


class NotUtf8(str):
    """The name of a header whose bytes are not UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


@pytest.fixture
def settings(stores: Runtime) -> Settings:
    return stores.kafka_settings(PROVISION).model_copy(update={"poll_ms": 100})


@pytest.fixture
async def database(stores: Runtime) -> AsyncIterator[Database]:
    async with probe_database(stores) as found:
        yield found


@pytest.fixture
async def probe(settings: Settings, database: Database) -> AsyncIterator[Probe]:
    """A reader of two topics with the settings of every topic."""
    name = f"probe.{uuid4().hex[:8]}"
    topics = [
        Topic(name=each, owner="probe", key="any", cleanup="delete", local_partitions=1)
        for each in (name, f"{name}.other")
    ]
    await ensure_topics(topics, settings)
    found = Probe(settings, database, name, [topics[1].name])
    yield found
    await found.stop()
    for topic in topics:
        await delete_topic(settings, topic.name)


async def send_batch(settings: Settings, topic: str, values: Sequence[str], odd: Sequence[int]) -> None:
    """Write one batch. The values at the positions `odd` have a header whose name is not UTF-8."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**20,
    )
    for position, value in enumerate(values):
        headers = [(NotUtf8("name"), b"value")] if position in odd else []
        assert builder.append(position, 0, None, value.encode(), headers) is not None
    client = AIOKafkaClient(**connection(settings))
    await client.bootstrap()
    await client.force_metadata_update()
    request = ProduceRequest(None, -1, SENT_SECONDS_MAX * 1000, [(topic, [(0, bytes(builder.build()))])])
    try:
        node = min(broker.nodeId for broker in client.cluster.brokers())
        assert await client.ready(node)
        answer = await client.send(node, request)
        assert answer.topics[0][1][0][1] == 0, answer
    finally:
        await client.close()


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is down"])
async def test_a_header_name_that_is_no_utf8_stops_no_record(probe: Probe, settings: Settings, running: bool) -> None:
    values, others = numbered("value", 2_500), numbered("other", 300)
    odd = [0, 7, 8, 1_200, 2_499]
    if running:
        await probe.start()
        await probe.send("first")
        await probe.until_handled("first")
    else:
        await probe.send("first")
    await send_batch(settings, probe.topic, values, odd)
    await probe.send(*others, topic=f"{probe.topic}.other")
    if not running:
        await probe.start()
    await probe.until_handled("first", *values, *others)
    await probe.send("last")
    await probe.until_handled("first", *values, *others, "last")
    assert probe.consumer.reasons() == []


async def test_compressed_records_are_read(probe: Probe, settings: Settings) -> None:
    await probe.start()
    for codec in CODECS:
        await send_compressed(settings, probe.topic, codec, numbered(codec, 50))
    await probe.until_handled(*[value for codec in CODECS for value in numbered(codec, 50)])


async def test_a_record_may_not_unpack_to_more_than_the_largest_record(probe: Probe, settings: Settings) -> None:
    with pytest.raises(MessageSizeTooLargeError):
        await send_compressed(settings, probe.topic, "zstd", ["x" * 30_000_000])


async def send_compressed(settings: Settings, topic: str, codec: str, values: Sequence[str]) -> None:
    producer = AIOKafkaProducer(**connection(settings), compression_type=codec, max_request_size=2**25, linger_ms=50)
    await producer.start()
    try:
        for sent in [await producer.send(topic, value.encode(), partition=0) for value in values]:
            await sent
    finally:
        await producer.stop()
