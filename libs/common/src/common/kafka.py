"""The few aiokafka calls we make, with the settings we mean."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.settings import Settings

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


async def stop(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """In order, or, where it cannot say goodbye, by leaving it to itself."""
    try:
        await answer_of(client.stop(), STOP_SECONDS_MAX)
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("a %s did not stop in time: %s", type(client).__name__, type(error).__name__)


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


def consumer(settings: Settings, group: str | None, *, instance: str | None = None) -> AIOKafkaConsumer:
    """Without a subscription yet. Offsets are ours; Kafka's are advisory, for lag tools and cold starts. Who only looks
    on has no group."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=group,
        group_instance_id=instance,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if group is None else "none",  # a lost position is an error, never a jump
        fetch_max_wait_ms=500,  # the broker answers at once when there is something
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=15_000,
        heartbeat_interval_ms=3_000,
        rebalance_timeout_ms=30_000,
        max_poll_interval_ms=300_000,
        metadata_max_age_ms=5_000,  # how soon a provider's new topic is seen
        **_security(settings),
    )
