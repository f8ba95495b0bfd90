"""`python -m shell.kafka.create_topics`: create every missing topic of contracts/topics.yaml.

An existing topic gets the settings of the contract, such as a longer retention; its other settings stay.

On one machine topics have `local_partitions` and one replica. With SHOUWANG_KAFKA_CLUSTER they have `partitions` and
three replicas.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from aiokafka.admin import NewTopic
from aiokafka.errors import for_code
from common.errors import Unavailable

from shell.kafka import client, topic_configs
from shell.kafka.topics import Topic, load_topics
from shell.settings import Settings, settings

CHANGE_SECONDS_MAX: Final = 40.0  # for the creation of all topics on a busy machine
_ALREADY_EXISTS = 36
_CLUSTER_REPLICAS: Final = 3


def _configs(topic: Topic) -> dict[str, str]:
    configs = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(8 * 1024 * 1024)}
    if topic.retention_hours is not None:
        configs["retention.ms"] = str(topic.retention_hours * 3_600_000)
    if topic.cleanup == "compact":
        configs["min.cleanable.dirty.ratio"] = "0.1"
    else:
        # Retention counts from the arrival. By a sender's own time, a record could be deleted unread.
        configs["message.timestamp.type"] = "LogAppendTime"
        # The broker stores records uncompressed, so that `max.message.bytes` limits what a reader unpacks.
        configs["compression.type"] = "uncompressed"
    return configs


def _new_topic(topic: Topic, *, cluster: bool) -> NewTopic:
    return NewTopic(
        name=topic.name,
        num_partitions=topic.partitions if cluster else topic.local_partitions,
        replication_factor=_CLUSTER_REPLICAS if cluster else 1,
        topic_configs=_configs(topic),
    )


async def ensure_topics(topics: Sequence[Topic], settings: Settings) -> list[str]:
    """Create the missing topics, and return their names. Repeated and concurrent calls are harmless.

    Raises Unavailable if a topic cannot be created, and KafkaError if the brokers do not answer."""
    admin = client.admin(settings, CHANGE_SECONDS_MAX)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in there]
        if not missing:
            return []
        answer = await admin.create_topics([_new_topic(topic, cluster=settings.kafka_cluster) for topic in missing])
        for name, code, *_ in answer.topic_errors:
            if code not in (0, _ALREADY_EXISTS):
                raise Unavailable(f"topic {name} could not be created: {for_code(code).__name__}")
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def ensure_configs(topics: Sequence[Topic], settings: Settings) -> list[str]:
    """Give existing topics the settings of the contract, and return the names of the changed topics. Raises Unavailable
    if the broker refuses, and KafkaError if the brokers do not answer."""
    admin = client.admin(settings, CHANGE_SECONDS_MAX)
    await admin.start()
    try:
        return await topic_configs.apply(admin, {topic.name: _configs(topic) for topic in topics})
    finally:
        await admin.close()


async def _bring_up_to_date() -> tuple[list[str], list[str]]:
    made = await ensure_topics(load_topics(), settings())
    return made, await ensure_configs(load_topics(), settings())


def main() -> int:
    made, changed = asyncio.run(_bring_up_to_date())
    print(f"{len(made)} topics created, settings of {len(changed)} changed")  # noqa: T201 - output of a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
