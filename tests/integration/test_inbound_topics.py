"""The inbound topics of sources on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest
import shell.settings
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from ingestion.register import sources
from ingestion.register.open_topics import keep_topics, open_topics
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from ingestion.register.store import registry
from shell import clock
from shell.kafka.client import connection
from shell.kafka.create_topics import ensure_configs, ensure_topics
from shell.kafka.topics import Topic, inbound_topic, load_source_topic, load_topics
from shell.settings import Settings
from shell.store.database import Database
from shell.testing import migrated_database
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime

CREATED_LONG_AGO_MS = 1_000_000_000_000
DEADLINE_SECONDS = 30


@pytest.fixture
def settings(stores: Runtime) -> Settings:
    return stores.kafka_settings(PROVISION)


async def configs(settings: Settings, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def create(settings: Settings, name: str, **given: str) -> None:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        named = {key.replace("_", "."): value for key, value in given.items()}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=named)])
    finally:
        await admin.close()


def inbound(name: str) -> Topic:
    return msgspec.structs.replace(load_source_topic("urn:cn:exchange:530300:psb"), name=name)


@pytest.mark.parametrize("name", ["population.inbound", "population.inbound.530300.psb"])
async def test_no_sender_can_choose_the_time_of_a_record(settings: Settings, name: str) -> None:
    topics = [*load_topics(), load_source_topic("urn:cn:exchange:530300:psb")]
    await ensure_topics([topic for topic in topics if topic.name == name], settings)
    producer = AIOKafkaProducer(**connection(settings))
    await producer.start()
    sent = await producer.send_and_wait(name, b"{}", timestamp_ms=CREATED_LONG_AGO_MS, partition=0)
    await producer.stop()
    reader = AIOKafkaConsumer(name, **connection(settings), auto_offset_reset="earliest")
    await reader.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            record = await reader.getone()
            while (record.partition, record.offset) != (0, sent.offset):
                record = await reader.getone()
    finally:
        await reader.stop()
    assert record.timestamp > CREATED_LONG_AGO_MS + 10 * 365 * 86_400_000
    assert (await configs(settings, name))["retention.ms"] == str(7 * 86_400_000)


async def test_an_existing_topic_is_corrected_and_keeps_its_other_settings(settings: Settings) -> None:
    """The topic is as an older version created it: senders set the time."""
    name = f"population.inbound.530300.old_{uuid4().hex[:8]}"
    await create(settings, name, retention_ms=str(86_400_000), segment_bytes="12345678")
    assert await ensure_topics([inbound(name)], settings) == []
    await ensure_configs([inbound(name)], settings)
    found = await configs(settings, name)
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert found["retention.ms"] == str(7 * 86_400_000)
    assert found["segment.bytes"] == "12345678"


async def test_a_topic_on_one_machine_has_one_replica(settings: Settings) -> None:
    """One broker cannot hold three replicas."""
    topic = inbound(f"population.inbound.530300.one_{uuid4().hex[:8]}")
    assert await ensure_topics([topic], settings) == [topic.name]


@pytest.fixture
async def register(stores: Runtime, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """The seeded register of sources in its own database, with settings for the broker."""
    for name, value in {"SHOUWANG_KAFKA": settings.kafka, **stores.kafka_users.environment("ingestion")}.items():
        monkeypatch.setenv(name, value)
    shell.settings.settings.cache_clear()
    async with migrated_database("ingestion") as database:
        await seed_register(database)
        yield database
    sources.forget()
    shell.settings.settings.cache_clear()


async def test_every_source_of_the_seed_gets_its_topic_and_keeps_it(register: Database, settings: Settings) -> None:
    wanted = {inbound_topic(urn) for urn, entry in seed().items() if entry.kafka}
    assert len(wanted) > 10
    while await open_topics(register):
        pass
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        assert wanted <= set(await admin.list_topics())
        gone_once = {min(wanted), "population.inbound"}
        await admin.delete_topics(sorted(gone_once))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while gone_once & set(await admin.list_topics()):
                await asyncio.sleep(0.05)
        async with asyncio.timeout(DEADLINE_SECONDS):  # the broker deletes later, and the job runs again
            while not gone_once <= set(await admin.list_topics()):
                await keep_topics(register)
    finally:
        await admin.close()
    assert await register.pool.fetchval("SELECT count(*) FROM source_topics WHERE opened_at IS NOT NULL") == len(wanted)


async def test_a_topic_that_the_broker_rejects_does_not_delay_other_topics(
    register: Database, settings: Settings
) -> None:
    """The broker rejects a name that collides with another one."""
    await create(settings, "population.inbound.530300.a.b")
    entry = seed()["urn:cn:exchange:530300:psb"].model_dump_json().encode()
    refused, other = (f"urn:cn:exchange:530300:{office}" for office in ("a_b", f"zz_{uuid4().hex[:8]}"))
    async with register.transaction() as tx:
        rows = [registry.NewVersion(urn, 1, clock.now(), entry, "test", "x") for urn in (refused, other)]
        await registry.insert_versions(tx, rows)
    await sources.refresh(register, now=True)
    await open_topics(register)
    rows = await register.pool.fetch("SELECT source, problem FROM source_topics WHERE opened_at IS NULL")
    assert [(row[0], "InvalidTopic" in row[1]) for row in rows] == [(refused, True)]
    assert await register.pool.fetchval("SELECT opened_at FROM source_topics WHERE source = $1", other) is not None
