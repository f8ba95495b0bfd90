"""The pace of a relay: how many records it may be ahead of the consumers of its topics.

A topic of contracts/topics.yaml may have `pace: {consumers: [group, …], ahead_max: n}`. While one of these groups moves
(commits new offsets) and is more than n records behind, rows that are not urgent stay in the outbox. A group that does
not move (stopped, never started) delays nothing.
"""

import logging
from time import monotonic
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shell.kafka import client
from shell.kafka.liveness import require_running
from shell.kafka.topics import Topic
from shell.settings import Settings
from shell.store.failures import is_unavailable

log = logging.getLogger(__name__)
LOOK_EVERY_SECONDS: Final = 0.1
STANDING_AFTER_SECONDS: Final = 5.0


class Pace:
    """The pace of one relay. `holding`: only urgent rows are sent now."""

    def __init__(self, topics: list[Topic], settings: Settings) -> None:
        self._topics = {topic.name: topic for topic in topics if topic.pace is not None}
        self._settings = settings
        self._ends: dict[tuple[str, int], int] = {}
        self.holding = False
        self._ahead_min = min((t.pace.ahead_max for t in topics if t.pace is not None), default=0)
        self._looked_at = 0.0
        self._sent_since_look = 0
        self._committed: dict[str, tuple[int, float]] = {}  # group → (sum of offsets, when it last moved)
        self._admin: AIOKafkaAdminClient | None = None

    def sent(self, topic: str, partition: int, end: int) -> None:
        """Note that the broker has acknowledged all records of the partition before offset `end`. A lower offset than
        before shows that the topic was created again."""
        if topic in self._topics:
            before = self._ends.get((topic, partition), end)
            self._ends[topic, partition] = end
            self._sent_since_look += abs(end - before)

    async def holds(self) -> bool:
        """Whether rows that are not urgent must wait; False while the broker does not answer. Asks the broker every
        LOOK_EVERY_SECONDS, and earlier if so many records were sent that the answer may have changed."""
        little = self._sent_since_look < self._ahead_min // 2
        if not self._ends or (little and monotonic() - self._looked_at < LOOK_EVERY_SECONDS):
            return self.holding
        self._looked_at, self._sent_since_look = monotonic(), 0
        try:
            self.holding = any([await self._is_ahead(name) for name in self._topics])
        except BaseException as error:
            self.holding = False
            await self.close()  # the next question gets a new client
            if not (isinstance(error, KafkaError) or is_unavailable(error)):
                raise
            log.warning("pace unknown: %r", error)
        return self.holding

    async def _is_ahead(self, topic: str) -> bool:
        """Whether a group that moves is more than `ahead_max` records of this topic behind the relay."""
        pace = self._topics[topic].pace
        ends = {part: end for (name, part), end in self._ends.items() if name == topic}
        if pace is None or not ends:
            return False
        for group in pace.consumers:
            committed = await self._committed_of(group, topic, list(ends))
            behind = sum(max(0, end - committed.get(part, end)) for part, end in ends.items())
            if behind > pace.ahead_max and self._moves(group, sum(committed.values())):
                return True
        return False

    def _moves(self, group: str, position: int) -> bool:
        """Whether the group has moved within STANDING_AFTER_SECONDS. `position`: the sum of its committed offsets."""
        before, since = self._committed.get(group, (-1, monotonic()))
        if position != before:
            self._committed[group] = (position, monotonic())
            return True
        return monotonic() - since < STANDING_AFTER_SECONDS

    async def _committed_of(self, group: str, topic: str, parts: list[int]) -> dict[int, int]:
        if self._admin is None:
            self._admin = client.admin(self._settings)
            await client.answer_of(self._admin.start(), client.REQUEST_SECONDS_MAX)
        require_running(self._admin)
        asked = self._admin.list_consumer_group_offsets(group, partitions=[TopicPartition(topic, p) for p in parts])
        offsets = await client.answer_of(asked, client.REQUEST_SECONDS_MAX)
        return {tp.partition: found.offset for tp, found in offsets.items() if found.offset >= 0}

    async def close(self) -> None:
        """Stop the client. The next question makes a new one."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await client.stop(admin)
