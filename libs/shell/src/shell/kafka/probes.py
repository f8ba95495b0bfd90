"""Questions of the watchdog to the broker, over a client of its own.

A question is asked only while a part does not move, so it costs the main path no round trip. An error means that the
broker is away or does not answer. The next question then makes a new client.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from shell.kafka import client as kafka
from shell.kafka.liveness import require_running
from shell.settings import Settings

T = TypeVar("T")
ANSWER_SECONDS_MAX: Final = 10.0


class Broker:
    """Asks the broker; one per process. The methods raise KafkaError, TimeoutError or OSError while the broker does not
    answer, and ClientEnded if the client has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def topics(self) -> set[str]:
        """Return the names of all topics. A result also shows that the broker answers."""
        async with self._one_at_a_time:
            return await self._ask(self._topics())

    async def waiting(self, positions: Mapping[TopicPartition, int | None]) -> int:
        """Return the number of unread records. `positions`: the next offset by partition (None: from the beginning)."""
        async with self._one_at_a_time:
            return await self._ask(self._waiting(positions))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await kafka.stop(client)

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        try:
            return await kafka.answer_of(question, ANSWER_SECONDS_MAX)
        except BaseException:
            await self.close()
            raise

    async def _topics(self) -> set[str]:
        client = await self._connected()
        return set(await client.topics())

    async def _waiting(self, positions: Mapping[TopicPartition, int | None]) -> int:
        client = await self._connected()
        known = await client.topics()
        asked = [tp for tp in positions if tp.topic in known]  # a deleted topic has no records
        if not asked:
            return 0
        begins, ends = await client.beginning_offsets(asked), await client.end_offsets(asked)
        return sum(max(0, ends[tp] - max(positions[tp] or 0, begins[tp])) for tp in asked)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            self._client = kafka.consumer(self._settings, None)
            await self._client.start()
        require_running(self._client)
        return self._client
