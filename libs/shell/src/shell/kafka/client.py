"""Create the Kafka clients of a service with their settings, await their answers, and stop them."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shell.kafka import lenient_records
from shell.kafka.liveness import Client, ended_tasks, take_apart, watch_password
from shell.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)
REQUEST_SECONDS_MAX: Final = 10.0
# A client may wait for its group for ever. It gets more time than the group gives a member to come back; after that a
# new client replaces it.
STUCK_AFTER_SECONDS: Final = 60.0
# A producer keeps unsent records for this time. So it sends none of them after its successor has begun.
STOP_SECONDS_MAX: Final = REQUEST_SECONDS_MAX
lenient_records.install()


async def answer_of(wanted: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
    """Await a call of a client, and return its result. Raises TimeoutError after `seconds` (default:
    STUCK_AFTER_SECONDS), even if the client cannot be cancelled, and if the client itself cancels the call.

    Tasks inside a client may wait for one another, and `asyncio.wait_for` would wait for them as well."""
    asker = asyncio.current_task()
    # planned crashes find the task by this name
    task = asyncio.create_task(wanted, name=asker.get_name() if asker else None)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds or STUCK_AFTER_SECONDS)
        if not done or task.cancelled():  # the client cancelled its own tasks, not ours
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


async def stop(client: Client) -> None:
    """Stop a client. If it cannot stop, its tasks and connections are ended one by one. Raises no error of the client.

    The client's own `stop` awaits its tasks. So it raises the error of an ended task, or waits for ever.
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


def connection(settings: Settings) -> dict[str, Any]:
    """Return the arguments of aiokafka for the address, the user and the encryption. Raises OSError if the file of the
    password or of the authority cannot be read."""
    address = {"bootstrap_servers": settings.kafka}
    if settings.kafka_username is None:
        return address
    return address | {
        "security_protocol": "SASL_SSL" if settings.kafka_tls else "SASL_PLAINTEXT",
        "sasl_mechanism": settings.kafka_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": _password(settings),
        "ssl_context": ssl.create_default_context(cafile=settings.kafka_ca) if settings.kafka_tls else None,
    }


def _password(settings: Settings) -> str | None:
    if settings.kafka_password is not None or settings.kafka_password_file is None:
        return settings.kafka_password
    return settings.kafka_password_file.read_text(encoding="utf-8").strip()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, by crc32 as in librdkafka. The murmur2 of aiokafka is plain Python and forty times
    slower."""
    return crc32(key) % partitions


def producer(settings: Settings) -> AIOKafkaProducer:
    made = AIOKafkaProducer(
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # the relay builds batches; a wait would only add latency
        max_batch_size=512 * 1024,
        max_request_size=8 * 1024 * 1024,
        request_timeout_ms=int(REQUEST_SECONDS_MAX * 1000),
        **connection(settings),
    )
    watch_password(made, settings.kafka_password_file)
    return made


def admin(settings: Settings, request_seconds_max: float = REQUEST_SECONDS_MAX) -> AIOKafkaAdminClient:
    """A client for questions about groups and topics, and for changes of topics. The caller starts it."""
    made = AIOKafkaAdminClient(
        request_timeout_ms=int(request_seconds_max * 1000),
        **connection(settings),
    )
    watch_password(made, settings.kafka_password_file)
    return made


def consumer(settings: Settings, group: str | None) -> AIOKafkaConsumer:
    """A client without a subscription; the caller starts it. Without `group` it belongs to no group.

    The positions in the database decide where it reads. Kafka's offsets are advisory, for tools that show the lag. Only
    a process with a unique, fixed name (`settings.member`) is a static member: two processes with one name fence each
    other for ever.
    """
    made = AIOKafkaConsumer(
        group_id=group,
        group_instance_id=(settings.member or None) if group else None,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if group is None else "none",  # a lost position raises an error
        fetch_max_wait_ms=500,  # the broker answers at once when there is something
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=15_000,
        heartbeat_interval_ms=1_000,  # how soon a member learns of another one
        rebalance_timeout_ms=30_000,
        max_poll_interval_ms=300_000,
        metadata_max_age_ms=5_000,  # how soon a provider's new topic is seen
        **connection(settings),
    )
    watch_password(made, settings.kafka_password_file)
    return made


def join_again(client: AIOKafkaConsumer) -> None:
    """Let the group assign its partitions again."""
    client._coordinator.request_rejoin()
