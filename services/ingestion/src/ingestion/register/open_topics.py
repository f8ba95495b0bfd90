"""Every source with `kafka: true` in the register has its own topic: the jobs that create it and keep it there."""

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
AGAIN_SECONDS_MAX: Final = 60
waiting = Gauge("shouwang_source_topics_waiting", "Sources whose topic could not be created yet")


async def open_topics(database: Database) -> int:
    """Job: create the topics of sources that wait for one; returns how many. After a failure a source waits 2, 4, 8, …
    and at most AGAIN_SECONDS_MAX seconds; `GET /v1/sources/{source}` and a metric show it meanwhile."""
    await sources.look(database)
    wanted = [urn for urn, version in sources.versions().items() if version.entry.kafka and version.entry.active]
    now = clock.real_now()
    async with database.reading() as connection:
        due = await store.list_due(connection, wanted, now, STEP_MAX)
    if not due:
        return 0
    problems = await _open(list(due))
    failed = {urn: (problem, now + _pause(due[urn])) for urn, problem in problems.items()}
    async with database.transaction() as tx:
        await store.save_opened(tx, [urn for urn in due if urn not in failed], now)
        await store.save_failed(tx, failed)
        waiting.set(await store.count_waiting(tx))
    return len(due) - len(failed)


async def keep_topics(database: Database) -> int:
    """Job: create opened topics again if they are gone (a broker set up anew), and give all inbound topics the settings
    of the contract: the broker, and no sender, sets the time of a record. Never has more to do."""
    await _ensure([], with_shared=True)
    after = ""
    while True:
        async with database.reading() as connection:
            page = await store.list_opened(connection, after, STEP_MAX)
        if not page:
            return 0
        await _ensure(page)
        after = page[-1]


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(2 ** (tries + 1), AGAIN_SECONDS_MAX))


async def _open(urns: Sequence[str]) -> dict[str, str]:
    """Create the topics; returns the problem of each source whose topic could not be created."""
    try:
        await _ensure(urns)
        return {}
    except (KafkaError, OSError, TimeoutError) as away:
        return dict.fromkeys(urns, type(away).__name__)
    except Unavailable:
        log.warning("a topic was refused: creating each of %d alone", len(urns))
    problems = {}
    for urn in urns:  # one topic that is refused must not keep the others waiting
        try:
            await _ensure([urn])
        except (KafkaError, OSError, TimeoutError, Unavailable) as error:
            problems[urn] = str(error) if isinstance(error, Unavailable) else type(error).__name__
    return problems


async def _ensure(urns: Sequence[str], *, with_shared: bool = False) -> None:
    topics = [load_source_topic(urn) for urn in urns]
    if with_shared:
        topics += [topic for topic in load_topics() if topic.name == INBOUND]
    async with asyncio.timeout(KAFKA_SECONDS_MAX):
        created = await ensure_topics(topics, settings(), cluster=None)
        await ensure_configs(topics, settings())
    if created:
        log.info("created %d inbound topics", len(created))
