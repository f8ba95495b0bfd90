"""Reads the events on topics from a start time on, each with the time of reading."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from common.events import Event, by_type, decoder
from shell.kafka.client import connection
from shell.kafka.liveness import ended_tasks, take_apart
from shell.settings import Settings

from shouwang.stories.transcript import StoryFailed

E = TypeVar("E", bound=Event)
KEPT_MAX: Final = 200_000
SECONDS_MAX: Final = 30.0


class _Received(NamedTuple):
    at: float
    topic: str
    key: str
    cls: type[Event]
    correlation_id: str
    value: bytes


@dataclass(frozen=True)
class Seen(Generic[E]):
    """A received event. `at`: monotonic seconds of reading. `number`: its position in the order of reading."""

    at: float
    number: int
    topic: str
    correlation_id: str
    data: E


class Watch:
    """Reads topics without a consumer group, from their present ends. Keeps at most KEPT_MAX events, the newest."""

    def __init__(self, kafka: Settings, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = topics
        self._received: list[_Received] = []
        self._forgotten = 0
        self._more = asyncio.Event()
        self._client: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None
        self._next: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect. Every record that is written after the return is received."""
        self._client = client = await self._connect()
        self._next = await client.end_offsets(client.assignment())
        for tp, end in self._next.items():
            client.seek(tp, end)
        self._reading = asyncio.create_task(self._read(), name="watch")

    async def _connect(self) -> AIOKafkaConsumer:
        """Start a client that reads on after the last received records."""
        client = AIOKafkaConsumer(*self._topics, **connection(self._kafka), fetch_max_wait_ms=100)
        await client.start()
        for tp in client.assignment() & self._next.keys():
            client.seek(tp, self._next[tp])
        return client

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._client is not None:
            await self._client.stop()

    async def _read(self) -> None:
        """Read until cancelled. A new client continues when a task inside the client has ended."""
        while True:
            assert self._client is not None
            fetched = await self._client.getmany(timeout_ms=200)
            if ended_tasks(self._client):
                await take_apart(self._client)
                self._client = await self._connect()
            now = monotonic()
            for tp, records in fetched.items():
                self._next[tp] = records[-1].offset + 1
                self._received += [event for record in records if (event := _decode(record, now)) is not None]
            if len(self._received) > KEPT_MAX:
                self._forgotten += KEPT_MAX // 2
                del self._received[: KEPT_MAX // 2]
            self._more.set()

    @property
    def mark(self) -> int:
        """The number of the next event; as `since` it excludes all earlier events."""
        return self._forgotten + len(self._received)

    def all_of(self, cls: type[E], key: str | None, since: int = 0) -> list[Seen[E]]:
        """The kept events of one class with this key (None: with any key), in the order of reading."""
        begin = max(0, since - self._forgotten)
        return [
            Seen(event.at, number, event.topic, event.correlation_id, decoder(cls).decode(event.value))
            for number, event in enumerate(self._received[begin:], self._forgotten + begin)
            if event.cls is cls and key in (None, event.key)
        ]

    async def event(
        self,
        cls: type[E],
        key: str,
        where: Callable[[E], bool] = lambda event: True,
        *,
        since: int = 0,
        seconds: float = SECONDS_MAX,
    ) -> Seen[E]:
        """Wait for the first event of the class with this key for which `where` holds.

        `since`: ignore the events with a smaller number (see `mark`). Raises StoryFailed after `seconds`.
        """
        deadline = monotonic() + seconds
        while True:
            self._more.clear()
            for seen in self.all_of(cls, key, since):
                if where(seen.data):
                    return seen
            left = deadline - monotonic()
            if left <= 0:
                received = ", ".join(self._classes_of(key)) or "nothing"
                raise StoryFailed(f"no {cls.__name__} for {key} within {seconds:.0f} s; received: {received}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._more.wait()

    def _classes_of(self, key: str) -> list[str]:
        """The names of the event classes that were received with this key."""
        return [event.cls.__name__ for event in self._received if event.key == key]


def _decode(record: object, now: float) -> _Received | None:
    """Read the headers of a record; None for an unknown event type, and for a record without key or value."""
    headers = dict(record.headers)  # type: ignore[attr-defined]
    cls = by_type(headers.get("ce_type", b"").decode("utf-8", "replace"))
    if cls is None or record.value is None or record.key is None:  # type: ignore[attr-defined]
        return None
    correlation = headers.get("ce_correlationid", b"").decode()
    return _Received(now, record.topic, record.key.decode(), cls, correlation, record.value)  # type: ignore[attr-defined]
