"""The few aiokafka calls we make, with the settings we mean."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shell.kafka.liveness import Client, ended_tasks, take_apart
from shell.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)
REQUEST_SECONDS_MAX: Final = 10.0
# A client may wait for its group without an end, and says nothing meanwhile. It is given longer than the group gives a
# member to come back, and is then replaced by a new one.
STUCK_AFTER_SECONDS: Final = 60.0
# As long as what a producer has not sent lives in it: nothing old goes out behind what its successor sends.
STOP_SECONDS_MAX: Final = REQUEST_SECONDS_MAX


async def answer_of(wanted: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
    """What a client answers. Raises TimeoutError after STUCK_AFTER_SECONDS even where the client does not let itself be
    cancelled: tasks inside it wait for one another, and `asyncio.wait_for` would wait for them as well."""
    asker = asyncio.current_task()
    task = asyncio.create_task(wanted, name=asker.get_name() if asker else None)  # as part of it, for who looks on
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds or STUCK_AFTER_SECONDS)
        if not done or task.cancelled():  # its own tasks cancel one another, which is no word to ours
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


async def stop(client: Client) -> None:
    """Stop a client. One that cannot stop is taken apart, so that no task and no connection of it stays.

    Stopping awaits the client's own tasks, so whatever has ended one of them is raised here again, or it waits in vain.
    """
    if ended_tasks(client):
        await take_apart(client)
        return
    stopping = client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop()
    try:
        await answer_of(stopping, STOP_SECONDS_MAX)
    except Exception as error:  # noqa: BLE001 - any exception of a task of the client
        log.warning("a %s did not stop in order: %s", type(client).__name__, type(error).__name__)
        await take_apart(client)


def _security(settings: Settings) -> dict[str, Any]:
    if settings.kafka_username is None:
        return {}
    return {
        "security_protocol": "SASL_SSL" if settings.kafka_tls else "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password,
        "ssl_context": ssl.create_default_context() if settings.kafka_tls else None,
    }


def partition_of(key: bytes, partitions: int) -> int:
    """Where a key lives: crc32, as librdkafka does it (aiokafka's murmur2 is plain Python and forty times slower)."""
    return crc32(key) % partitions


def producer(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # batches are built by the relay; waiting would only add latency
        max_batch_size=512 * 1024,
        max_request_size=8 * 1024 * 1024,
        request_timeout_ms=int(REQUEST_SECONDS_MAX * 1000),
        **_security(settings),
    )


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """A client for questions about groups. Not started yet."""
    return AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka,
        request_timeout_ms=int(REQUEST_SECONDS_MAX * 1000),
        **_security(settings),
    )


def consumer(settings: Settings, group: str | None) -> AIOKafkaConsumer:
    """A client without a subscription yet. Without `group` it only looks on.

    The offsets that count are ours; Kafka's are advisory, for lag tools and cold starts. Only a process with a unique,
    fixed name (`settings.member`) is a static member. Two processes of one name fence each other for ever.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=group,
        group_instance_id=(settings.member or None) if group else None,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if group is None else "none",  # a lost position is an error, never a jump
        fetch_max_wait_ms=500,  # the broker answers at once when there is something
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=15_000,
        heartbeat_interval_ms=1_000,  # how soon a member hears that another one has come or gone
        rebalance_timeout_ms=30_000,
        max_poll_interval_ms=300_000,
        metadata_max_age_ms=5_000,  # how soon a provider's new topic is seen
        **_security(settings),
    )


def join_again(client: AIOKafkaConsumer) -> None:
    """Let the group share its partitions anew."""
    client._coordinator.request_rejoin()
