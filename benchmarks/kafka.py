"""Kafka clients of the driver, which is the measuring process, and the topics and partitions of a broker."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from shell.kafka.client import connection
from shell.settings import Settings

Partition = tuple[str, int]  # topic and number
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)


@asynccontextmanager
async def started(client: Client) -> AsyncIterator[Client]:
    """The client between its start and its stop."""
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


def topic_partitions(partitions: Iterable[Partition]) -> list[TopicPartition]:
    """Convert partitions to the type of the Kafka library."""
    return [TopicPartition(*partition) for partition in partitions]


async def list_partitions(kafka: Settings, topics: list[str] | None = None) -> list[Partition]:
    """All partitions of `topics`, or of every topic except Kafka's internal ones. Unknown topics are left out."""
    admin = AIOKafkaAdminClient(**connection(kafka))
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    found = [(entry["topic"], part["partition"]) for entry in described for part in entry["partitions"]]
    return sorted(partition for partition in found if not partition[0].startswith("_"))
