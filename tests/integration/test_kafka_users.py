"""A user of Kafka reaches its own topics only: probes of the real broker as a provider, a source and a service."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from common.codes import uscc
from dispatch.open_topics import topics_of
from shell.kafka import client
from shell.kafka.client import connection
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import INBOUND, load_source_topic, load_topics
from shell.settings import Settings
from shouwang.runtime import kafka_grants
from shouwang.runtime.kafka_acls import OPERATOR, PROVISION, Registers, provider_user, source_user
from shouwang.runtime.kafka_users import KafkaUsers
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED

X, Y = uscc.make("52530302MJ0000091"), uscc.make("52530302MJ0000092")
PSB, MCA = "urn:cn:exchange:530300:psb", "urn:cn:exchange:530300:mca"
SIGNED = "urn:cn:exchange:530302:signed"
REGISTERS = Registers({PSB: True, MCA: True, SIGNED: False}, frozenset({X, Y}))
ANSWER_SECONDS_MAX = 20


def offers(provider: str) -> str:
    return f"dispatch.provider.{provider}"


@pytest.fixture
def users(stores: Runtime) -> KafkaUsers:
    return stores.kafka_users


@pytest.fixture
async def topics(settings: Settings) -> None:
    """The topics of both providers and both sources, each with a record."""
    await ensure_topics([load_source_topic(PSB), load_source_topic(MCA), *topics_of(X), *topics_of(Y)], settings)
    for topic in (offers(X), offers(Y), load_source_topic(PSB).name):
        await write(settings, topic)


@pytest.fixture
def provider(users: KafkaUsers, topics: None) -> Settings:
    user = provider_user(X)
    return users.settings(user, kafka_grants.make_outsider(users, user, REGISTERS))


@pytest.fixture
def source(users: KafkaUsers, topics: None) -> Settings:
    user = source_user(PSB)
    return users.settings(user, kafka_grants.make_outsider(users, user, REGISTERS))


@asynccontextmanager
async def admin_as(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = client.admin(settings)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def write(settings: Settings, topic: str, value: bytes = b"{}") -> None:
    producer = AIOKafkaProducer(**connection(settings), request_timeout_ms=5_000)
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await producer.start()
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read(settings: Settings, topic: str, group: str | None = None) -> bytes:
    """The first record of a topic."""
    reader = AIOKafkaConsumer(
        topic, **connection(settings), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await reader.start()
            record = await reader.getone()
            if group is not None:
                await reader.commit({TopicPartition(topic, record.partition): record.offset + 1})
            return bytes(record.value)
    finally:
        await reader.stop()


async def create(settings: Settings, topic: str) -> None:
    async with admin_as(settings) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
    if code := answer.topic_errors[0][1]:
        raise for_code(code)


async def test_a_provider_reads_its_own_offers_in_a_group_of_its_own(provider: Settings) -> None:
    assert await read(provider, offers(X), group=f"provider.{X}.desk") == b"{}"


async def test_a_provider_answers_on_its_own_topic(provider: Settings) -> None:
    await write(provider, f"{offers(X)}.replies")


async def test_a_provider_uses_no_group_of_another_user(provider: Settings) -> None:
    for group in ("dispatch", f"provider.{Y}.desk"):
        with pytest.raises(GroupAuthorizationFailedError):
            await read(provider, offers(X), group=group)


@pytest.mark.parametrize("topic", [offers(Y), f"{offers(X)}.replies", "dispatch.visit", "ingestion.person", INBOUND])
async def test_a_provider_reads_nothing_else(provider: Settings, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await read(provider, topic)


@pytest.mark.parametrize("topic", [offers(X), offers(Y), f"{offers(Y)}.replies", "dispatch.visit", INBOUND])
async def test_a_provider_writes_neither_offers_nor_answers_of_another_one(provider: Settings, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(provider, topic)


async def test_a_provider_sees_only_its_own_topics(provider: Settings) -> None:
    async with admin_as(provider) as admin:
        assert set(await admin.list_topics()) == {offers(X), f"{offers(X)}.replies"}


async def test_a_source_writes_its_own_topic(source: Settings) -> None:
    await write(source, load_source_topic(PSB).name)


@pytest.mark.parametrize("topic", [load_source_topic(PSB).name, load_source_topic(MCA).name, INBOUND, offers(X)])
async def test_a_source_reads_nothing(source: Settings, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await read(source, topic)


@pytest.mark.parametrize("topic", [load_source_topic(MCA).name, INBOUND, f"{offers(X)}.replies", "ingestion.person"])
async def test_a_source_writes_no_other_topic(source: Settings, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(source, topic)


async def test_a_source_without_a_topic_writes_the_shared_one(users: KafkaUsers, topics: None) -> None:
    user = source_user(SIGNED)
    signed = users.settings(user, kafka_grants.make_outsider(users, user, REGISTERS))
    await write(signed, INBOUND)
    with pytest.raises(TopicAuthorizationFailedError):
        await write(signed, load_source_topic(PSB).name)


async def test_neither_provider_nor_source_creates_a_topic(provider: Settings, source: Settings) -> None:
    for user in (provider, source):
        for topic in (f"{offers(X)}.more", "population.inbound.530300.more"):
            with pytest.raises(TopicAuthorizationFailedError):
                await create(user, topic)


@pytest.mark.parametrize("service", STORED)
async def test_a_service_writes_its_own_topics_and_no_other(users: KafkaUsers, stores: Runtime, service: str) -> None:
    own = next(topic.name for topic in load_topics() if topic.owner == service and topic.events)
    foreign = next(topic.name for topic in load_topics() if topic.owner != service and topic.events)
    async with asyncio.timeout(60):
        async with running_producer(users.settings(service)) as producer:
            assert await producer.partitions_for(own)
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(foreign, b"{}")
    if service not in ("ingestion", "supervision"):
        with pytest.raises(TopicAuthorizationFailedError):
            await read(users.settings(service), INBOUND)


@asynccontextmanager
async def running_producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = client.producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def test_an_operator_reads_but_neither_pushed_events_nor_with_a_change(users: KafkaUsers, topics: None) -> None:
    operator = users.settings(OPERATOR)
    assert await read(operator, offers(X)) == b"{}"
    with pytest.raises(TopicAuthorizationFailedError):
        await read(operator, load_source_topic(PSB).name)
    for topic in (offers(X), "ingestion.person"):
        with pytest.raises(TopicAuthorizationFailedError):
            await write(operator, topic)
    with pytest.raises(TopicAuthorizationFailedError):
        await create(operator, "dispatch.more")


async def test_a_client_without_a_user_or_with_a_wrong_password_is_refused(stores: Runtime, users: KafkaUsers) -> None:
    nobody = Settings(kafka=stores.kafka_address)
    wrong = users.settings(PROVISION, "wrong")
    unknown = users.settings(f"provider.{uuid4().hex}", "unknown")
    for settings in (nobody, wrong, unknown):
        with pytest.raises((KafkaConnectionError, KafkaError)):
            async with asyncio.timeout(ANSWER_SECONDS_MAX), admin_as(settings) as admin:
                await admin.list_topics()


async def test_the_controller_refuses_a_client_without_a_user(stores: Runtime) -> None:
    address = f"127.0.0.1:{stores.ports.get('kafka-controller')}"
    with pytest.raises((KafkaConnectionError, KafkaError)):
        async with asyncio.timeout(ANSWER_SECONDS_MAX), admin_as(Settings(kafka=address)) as admin:
            await admin.list_topics()


@pytest.fixture
def registers_again(users: KafkaUsers) -> Iterator[None]:
    yield
    kafka_grants.bring_up_to_date(users, lambda: Registers({}, frozenset()))


async def test_a_source_that_ends_loses_its_user_and_its_grants(
    users: KafkaUsers, source: Settings, registers_again: None
) -> None:
    producer = AIOKafkaProducer(**connection(source), request_timeout_ms=5_000)
    await producer.start()
    topic = load_source_topic(PSB).name
    try:
        await producer.send_and_wait(topic, b"{}")
        ended = REGISTERS._replace(sources={MCA: True})
        changes = await asyncio.to_thread(kafka_grants.bring_up_to_date, users, lambda: ended)
        assert source_user(PSB) in changes.deleted
        with pytest.raises(KafkaError):  # the open connection, too
            await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()
    assert source_user(PSB) not in await asyncio.to_thread(kafka_grants.list_users, users)
    with pytest.raises(KafkaError):
        await write(source, topic)


async def test_a_second_run_of_the_job_changes_nothing(users: KafkaUsers, provider: Settings) -> None:
    await asyncio.to_thread(kafka_grants.bring_up_to_date, users, lambda: REGISTERS)
    again = await asyncio.to_thread(kafka_grants.bring_up_to_date, users, lambda: REGISTERS)
    assert (again.granted, again.revoked, again.deleted) == (0, 0, [])
    assert await read(provider, offers(X)) == b"{}"


async def test_a_new_password_ends_the_old_one_and_a_file_is_read_for_each_client(
    users: KafkaUsers, provider: Settings
) -> None:
    user = provider_user(X)
    new = users.settings(user, kafka_grants.make_outsider(users, user, REGISTERS))
    assert await read(new, offers(X)) == b"{}"
    with pytest.raises(KafkaError):
        await read(provider, offers(X))
