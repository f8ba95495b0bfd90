"""Readers of topics, as an outsider would read them: own consumer, no group, from now on."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.places import places

Note = Callable[[Any, float], None]


class Reader:
    """Calls `note(record, monotonic)` for every record that arrives on `topics` while it is entered."""

    def __init__(self, kafka: str, topics: Sequence[str], note: Note) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._note = note
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            # a record that comes while a fetch of other partitions hangs waits for it: let none hang long
            fetch_max_wait_ms=20,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        await consumer.start()
        mine = [TopicPartition(*place) for place in await places(self._kafka, list(self._topics))]
        consumer.assign(mine)
        await consumer.seek_to_end(*mine)
        self._task = asyncio.create_task(self._read(consumer))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        assert self._consumer is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()
        if error is None and self._task.done() and not self._task.cancelled():
            self._task.result()  # a reader that broke makes the measurement void

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            fetched = await consumer.getmany(timeout_ms=1_000)
            now = monotonic()
            for records in fetched.values():
                for record in records:
                    self._note(record, now)
