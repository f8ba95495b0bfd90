"""The jobs that create a Kafka topic for each source with `kafka: true` in the register, and keep the topics alive."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from aiokafka.errors import KafkaError
from common.errors import Unavailable
from prometheus_client import Gauge
from shell import clock
from shell.kafka.create_topics import ensure_configs, ensure_topics
from shell.kafka.topics import INBOUND, load_source_topic, load_topics
from shell.settings import settings
from shell.store.database import Database

from ingestion.register import sources
from ingestion.register.store import topics as store

log = logging.getLogger(__name__)
STEP_MAX: Final = 100
KAFKA_SECONDS_MAX: Final = 30.0
RETRY_SECONDS_MAX: Final = 60
waiting = Gauge("shouwang_source_topics_waiting", "Sources whose topic could not be created yet")


async def open_topics(database: Database) -> int:
    """Job: create missing topics; returns how many. A failed source is tried again after 2, 4, 8, … seconds, at most
    RETRY_SECONDS_MAX. `GET /v1/sources/{source}` and a metric show the sources that wait."""
    await sources.refresh(database)
    wanted, now = _wanted(), clock.real_now()
    async with database.reading() as connection:
        due = await store.list_due(connection, wanted, now, STEP_MAX)
        if not due:
            waiting.set(await store.count_waiting(connection, wanted))
            return 0
    problems = await _create(list(due))
    failed = {urn: (problem, now + _pause(due[urn])) for urn, problem in problems.items()}
    async with database.transaction() as tx:
        await store.save_opened(tx, [urn for urn in due if urn not in failed], now)
        await store.save_failed(tx, failed)
        waiting.set(await store.count_waiting(tx.sql, wanted))
    return len(due) - len(failed)


async def keep_topics(database: Database) -> int:
    """Job: recreate topics that are gone (for example after a new installation of the broker), and apply the settings
    of the contract to all inbound topics. By these settings the broker, not the sender, sets the time of a record.
    Returns 0, because one step does everything."""
    await _ensure([], with_shared=True)
    after = ""
    while True:
        async with database.reading() as connection:
            page = await store.list_opened(connection, after, STEP_MAX)
        if not page:
            return 0
        await _ensure(page)
        after = page[-1]


def _wanted() -> list[str]:
    return [urn for urn, entry in sources.active_entries().items() if entry.kafka]


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(2 ** (tries + 1), RETRY_SECONDS_MAX))


async def _create(urns: Sequence[str]) -> dict[str, str]:
    """Create the topics; returns the problem of each source whose topic could not be created."""
    try:
        await _ensure(urns)
        return {}
    except (KafkaError, OSError, TimeoutError) as error:
        return dict.fromkeys(urns, type(error).__name__)
    except Unavailable:
        log.warning("the broker refused a topic: creating %d topics one by one", len(urns))
    found = {urn: await _problem(urn) for urn in urns}  # a refused topic must not delay the others
    return {urn: problem for urn, problem in found.items() if problem is not None}


async def _problem(urn: str) -> str | None:
    """Create one topic; returns the problem, None if the topic exists now."""
    try:
        await _ensure([urn])
    except (KafkaError, OSError, TimeoutError, Unavailable) as error:
        return str(error) if isinstance(error, Unavailable) else type(error).__name__
    return None


async def _ensure(urns: Sequence[str], *, with_shared: bool = False) -> None:
    """Create the missing topics of these sources, and apply their settings. `with_shared`: the shared topic, too."""
    topics = [load_source_topic(urn) for urn in urns]
    if with_shared:
        topics += [topic for topic in load_topics() if topic.name == INBOUND]
    async with asyncio.timeout(KAFKA_SECONDS_MAX):
        created = await ensure_topics(topics, settings())
        await ensure_configs(topics, settings())
    if created:
        log.info("created %d inbound topics", len(created))
