"""Everything that is said on the topics from a moment on, with the time at which it could be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from common.events import Event, by_type, decoder
from shell.kafka.liveness import ended_tasks, take_apart

from shouwang.stories.transcript import StoryFailed

E = TypeVar("E", bound=Event)
KEPT_MAX: Final = 200_000
SECONDS_MAX: Final = 30.0


class _Said(NamedTuple):
    at: float
    topic: str
    key: str
    cls: type[Event]
    correlation_id: str
    value: bytes


@dataclass(frozen=True)
class Seen(Generic[E]):
    """`at`: monotonic seconds at which it was read. `number`: its place in what was read so far."""

    at: float
    number: int
    topic: str
    correlation_id: str
    data: E


class Watch:
    """Reads topics without a group, from their present ends. What it keeps is bounded: the oldest is forgotten."""

    def __init__(self, kafka: str, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = topics
        self._said: list[_Said] = []
        self._forgotten = 0
        self._more = asyncio.Event()
        self._client: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None
        self._next: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Returns once "from now on" has begun."""
        self._client = client = await self._connect()
        self._next = await client.end_offsets(client.assignment())
        for tp, end in self._next.items():
            client.seek(tp, end)
        self._reading = asyncio.create_task(self._read(), name="watch")

    async def _connect(self) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(*self._topics, bootstrap_servers=self._kafka, fetch_max_wait_ms=100)
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
        """Goes on with a new client where the old one left off: a task inside a client may end unnoticed."""
        while True:
            assert self._client is not None
            fetched = await self._client.getmany(timeout_ms=200)
            if ended_tasks(self._client):
                await take_apart(self._client)
                self._client = await self._connect()
            now = monotonic()
            for tp, records in fetched.items():
                self._next[tp] = records[-1].offset + 1
                self._said += [said for record in records if (said := _said(record, now)) is not None]
            if len(self._said) > KEPT_MAX:
                self._forgotten += KEPT_MAX // 2
                del self._said[: KEPT_MAX // 2]
            self._more.set()

    @property
    def mark(self) -> int:
        """The number that the next record will get: "since now"."""
        return self._forgotten + len(self._said)

    def all_of(self, cls: type[E], key: str | None, since: int = 0) -> list[Seen[E]]:
        """What was said so far about `key` (None: about anybody), in the order in which it was read."""
        begin = max(0, since - self._forgotten)
        return [
            Seen(said.at, number, said.topic, said.correlation_id, decoder(cls).decode(said.value))
            for number, said in enumerate(self._said[begin:], self._forgotten + begin)
            if said.cls is cls and key in (None, said.key)
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
        """The first of its kind about `key` that fits. Raises StoryFailed when the deadline passes."""
        deadline = monotonic() + seconds
        while True:
            self._more.clear()
            for seen in self.all_of(cls, key, since):
                if where(seen.data):
                    return seen
            left = deadline - monotonic()
            if left <= 0:
                heard = ", ".join(said.cls.__name__ for said in self._said if said.key == key) or "nothing"
                raise StoryFailed(f"no {cls.__name__} that fits about {key} within {seconds:.0f} s; heard: {heard}")
            try:
                await asyncio.wait_for(self._more.wait(), left)
            except TimeoutError:
                continue


def _said(record: object, now: float) -> _Said | None:
    headers = dict(record.headers)  # type: ignore[attr-defined]
    cls = by_type(headers.get("ce_type", b"").decode("utf-8", "replace"))
    if cls is None or record.value is None or record.key is None:  # type: ignore[attr-defined]
        return None
    correlation = headers.get("ce_correlationid", b"").decode()
    return _Said(now, record.topic, record.key.decode(), cls, correlation, record.value)  # type: ignore[attr-defined]
