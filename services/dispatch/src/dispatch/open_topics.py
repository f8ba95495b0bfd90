"""A provider that subscribes by Kafka gets its two topics; what it was told before then is sent first."""

from typing import Final

from aiokafka.errors import KafkaError
from common.errors import Unavailable
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import Topic
from shell.settings import settings
from shell.store.database import Database

from dispatch import store
from dispatch.feed import RETENTION_DAYS, provider_topic, prune_feed, publish_backlog

STEP_MAX: Final = 500


def topics_of(uscc: str) -> list[Topic]:
    """The provider's own topic and that of its replies."""
    name = provider_topic(uscc)
    return [
        Topic(
            name=topic,
            owner="dispatch",
            key="task_id",
            cleanup="delete",
            retention_hours=RETENTION_DAYS * 24,
            partitions=1,
            local_partitions=1,
        )
        for topic in (name, f"{name}.replies")
    ]


async def open_topics(database: Database) -> int:
    """Job: make the topics of providers that wait for them. While Kafka is away they go on waiting."""
    async with database.reading() as connection:
        waiting = await store.list_topic_owners(connection, "pending", "", STEP_MAX)
    if not waiting:
        return 0
    await _ensure(waiting)
    for uscc in waiting:
        async with database.transaction() as tx:
            await publish_backlog(tx, uscc, STEP_MAX)
    return len(waiting)


async def keep_topics(database: Database) -> int:
    """Job: topics in use that are gone (a broker set up anew) are made again, since one missing topic would hold
    up everything this service has to say. Never has more to do."""
    after = ""
    while True:
        async with database.reading() as connection:
            page = await store.list_topic_owners(connection, "ready", after, STEP_MAX)
        if not page:
            return 0
        await _ensure(page)
        after = page[-1]


async def _ensure(usccs: list[str]) -> None:
    wanted = [topic for uscc in usccs for topic in topics_of(uscc)]
    try:
        await ensure_topics(wanted, settings(), cluster="," in settings().kafka)
    except KafkaError as error:
        raise Unavailable("the providers' topics cannot be made while Kafka is away") from error


async def forget_old_messages(database: Database) -> int:
    """Job: the feed keeps messages as long as the topics do."""
    async with database.transaction() as tx:
        return await prune_feed(tx, RETENTION_DAYS, STEP_MAX)
