"""Jobs that create and keep the topics of providers that subscribe by Kafka. A new topic gets the backlog first."""

from typing import Final

from aiokafka.errors import KafkaError
from common.errors import Unavailable
from shell import clock
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import Topic
from shell.settings import settings
from shell.store.database import Database

from dispatch import store
from dispatch.domain.providers import provider_topic
from dispatch.feed import RETENTION_DAYS, publish_backlog

STEP_MAX: Final = 500


def topics_of(uscc: str) -> list[Topic]:
    """The topic of the provider's offers and the topic of its replies."""
    offers = provider_topic(uscc)
    return [_topic(offers), _topic(f"{offers}.replies")]


def _topic(name: str) -> Topic:
    return Topic(
        name=name,
        owner="dispatch",
        key="task_id",
        cleanup="delete",
        retention_hours=RETENTION_DAYS * 24,
        partitions=1,
        local_partitions=1,
    )


async def open_topics(database: Database) -> int:
    """Job: create the topics of providers that wait for them, and send their backlog. Returns the number of providers.

    Raises Unavailable while Kafka is away.
    """
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
    """Job: create topics in use again after a loss, for example on a new broker. Always returns 0.

    One missing topic blocks all messages of this service.
    """
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
        await ensure_topics(wanted, settings())
    except KafkaError as error:
        raise Unavailable("the topics of providers cannot be created while Kafka is away") from error


async def forget_old_messages(database: Database) -> int:
    """Job: delete feed messages that are older than RETENTION_DAYS, except those that wait for a topic.

    Returns their number, at most STEP_MAX.
    """
    async with database.transaction() as tx:
        return await store.delete_old_feed(tx, clock.now(), RETENTION_DAYS, STEP_MAX)
