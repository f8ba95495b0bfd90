"""Measure the share of a topic's retention that the oldest unread record has used. At 1 the broker deletes it unread.

The share is measured once a minute from the stored positions and the answers of the broker. So it also shows a consumer
that hangs. It costs a few requests per minute.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from common.errors import Unavailable

from shell import metrics
from shell.kafka import client as kafka
from shell.kafka import topic_configs
from shell.kafka.positions import Log, logs_of
from shell.settings import Settings
from shell.store.database import Database

log = logging.getLogger(__name__)
LOOK_EVERY_SECONDS: Final = 60.0
ALARM_RATIO: Final = 0.5
_HOUR_MS: Final = 3_600_000


class Place(NamedTuple):
    """The stored position of a consumer in one partition, with the fields of `shell.kafka.positions.Stored`."""

    topic: str
    part: int
    next_offset: int | None
    record_ms: int | None

    def unread_from(self, log_: Log) -> int:
        """The offset of the oldest unread record; the end of the log if all are read."""
        at = log_.start if self.next_offset is None else max(self.next_offset, log_.start)
        return at if at <= log_.end else log_.start  # above the end: the topic was recreated


class Used(NamedTuple):
    """Age of the oldest unread record and retention of its topic, both in milliseconds."""

    age_ms: int
    retention_ms: int

    @property
    def ratio(self) -> float:
        return self.age_ms / self.retention_ms


class RetentionWatch:
    """The retention that one consumer has used, by topic. The worst partition of a topic counts."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.used: dict[str, Used] = {}
        self._alarmed: set[str] = set()

    def reasons(self) -> list[str]:
        """Return one sentence per topic whose oldest unread record has used at least half of the retention."""
        return [
            f"{topic}: the oldest unread record has used {used.ratio:.0%} of the {used.retention_ms / _HOUR_MS:.0f} h "
            f"that the topic keeps records; then it is deleted unread"
            for topic, used in sorted(self.used.items())
            if used.ratio >= ALARM_RATIO
        ]

    async def look(self, database: Database) -> int:
        """Measure, set the metrics and log new alarms: a step of a job. Returns 0, so that the job waits for the next
        minute. Raises Unavailable if the broker does not answer."""
        rows = await database.pool.fetch(
            "SELECT topic, part, next_offset, record_ms FROM consumer_offsets WHERE consumer = $1", self.name
        )
        places = [Place(*row) for row in rows]
        try:
            found = await measure(self.settings, places)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"the retention of topics is unknown: {type(error).__name__}") from error
        self.used = worst_by_topic(found)
        for topic in {place.topic for place in places}:
            used = self.used.get(topic)
            metrics.retention_used.labels(self.name, topic).set(used.ratio if used else 0.0)
        late = {topic for topic, used in self.used.items() if used.ratio >= ALARM_RATIO}
        if late - self._alarmed:
            log.error("%s reads too late: %s", self.name, "; ".join(self.reasons()))
        self._alarmed = late
        return 0


def worst_by_topic(used: Mapping[TopicPartition, Used]) -> dict[str, Used]:
    """Return, for each topic, the largest value of its partitions."""
    worst: dict[str, Used] = {}
    for tp, found in used.items():
        worst[tp.topic] = max(found, worst.get(tp.topic, found))
    return worst


async def measure(settings: Settings, places: Sequence[Place]) -> dict[TopicPartition, Used]:
    """Return the used retention per partition that has unread records, if its topic deletes records by age.

    Raises KafkaError and TimeoutError, and Unavailable if the broker refuses to show the settings of a topic."""
    async with AsyncExitStack() as stack:
        admin = kafka.admin(settings)
        stack.push_async_callback(admin.close)
        await kafka.answer_of(admin.start())
        here = await existing(admin, sorted({place.topic for place in places}))
        wanted = [place for place in places if TopicPartition(place.topic, place.part) in here]
        if not wanted:
            return {}
        client = kafka.consumer(settings, None)
        stack.push_async_callback(kafka.stop, client)
        await kafka.answer_of(client.start())
        logs = await logs_of(client, [TopicPartition(place.topic, place.part) for place in wanted])
        unread = [p for p in wanted if p.unread_from(logs[_tp(p)]) < logs[_tp(p)].end]
        kept = await retentions(admin, sorted({place.topic for place in unread}))
        return await _ages(client, [place for place in unread if place.topic in kept], kept)


async def existing(admin: AIOKafkaAdminClient, topics: list[str]) -> set[TopicPartition]:
    """Return the partitions of `topics`, without topics that do not exist."""
    described = await kafka.answer_of(admin.describe_topics(topics)) if topics else []
    return {TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]}


async def retentions(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    """Return the retention in milliseconds of the topics that delete records by age."""
    configs = await kafka.answer_of(topic_configs.describe(admin, topics))
    return {
        topic: int(found["retention.ms"].value)
        for topic, found in configs.items()
        if found["cleanup.policy"].value == "delete" and int(found["retention.ms"].value) > 0
    }


async def _ages(
    client: AIOKafkaConsumer, places: Sequence[Place], kept: Mapping[str, int]
) -> dict[TopicPartition, Used]:
    """Return the age of the oldest unread record per partition. By timestamp, it is the first record after the last
    handled one."""
    if not places:
        return {}
    asked = {_tp(p): 0 if p.record_ms is None else p.record_ms + 1 for p in places}
    answers = await kafka.answer_of(client.offsets_for_times(asked))
    now_ms = int(time.time() * 1000)  # record timestamps are the broker's time, not business time
    found = {}
    for place in places:
        answer = answers.get(_tp(place))
        at_ms = answer.timestamp if answer is not None else place.record_ms
        if at_ms is not None:
            found[_tp(place)] = Used(max(0, now_ms - at_ms), kept[place.topic])
    return found


def _tp(place: Place) -> TopicPartition:
    return TopicPartition(place.topic, place.part)
