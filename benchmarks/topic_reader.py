"""Reads topics independently of the platform: with its own consumer, without a group, from the end of the topics."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from shell.kafka.client import connection
from shell.settings import Settings

from benchmarks.kafka import list_partitions, topic_partitions

OnRecord = Callable[[Any, float], None]
# A new record waits while a fetch of other partitions is open, so no fetch may stay open long.
FETCH_WAIT_MAX_MS = 20
PARTITION_FETCH_BYTES_MAX = 4 * 1024 * 1024


class TopicReader:
    """Calls `on_record(record, monotonic seconds)` for every new record of `topics` while it is entered."""

    def __init__(self, kafka: Settings, topics: Sequence[str], on_record: OnRecord) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._on_record = on_record
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        consumer = self._consumer = AIOKafkaConsumer(
            **connection(self._kafka),
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=FETCH_WAIT_MAX_MS,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
        )
        await consumer.start()
        partitions = topic_partitions(await list_partitions(self._kafka, list(self._topics)))
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
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
        if error is None and not self._task.cancelled():
            self._task.result()  # raises the error of a failed reader, because the measurement is then void

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            fetched = await consumer.getmany(timeout_ms=1_000)
            now = monotonic()
            for records in fetched.values():
                for record in records:
                    self._on_record(record, now)
