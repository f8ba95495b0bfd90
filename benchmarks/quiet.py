"""Is the platform quiet? All outboxes empty, every consumer at the end of its topics, and nothing moves any more."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from shouwang.runtime.machine import Runtime

from benchmarks.places import Place

LOOK_EVERY_SECONDS = 0.5
TELL_EVERY_SECONDS = 2.0
HOLD_SECONDS = 2.0


@dataclass(frozen=True)
class Look:
    """`behind`: records not settled yet, by consumer. `waiting`: whether something is in the outbox, by service (to
    count it would cost the database more than a batch). `moved`: all positions and ends; what differs between two
    looks has moved."""

    behind: Mapping[str, int]
    waiting: Mapping[str, bool]
    moved: tuple[int, ...]

    @property
    def is_still(self) -> bool:
        return not any(self.behind.values()) and not any(self.waiting.values())

    def told(self) -> str:
        """For a line of progress."""
        late = ", ".join(f"{service} {count:,}" for service, count in self.behind.items() if count)
        full = ", ".join(service for service, is_waiting in self.waiting.items() if is_waiting)
        parts = [f"records behind: {late}"] if late else []
        parts += [f"outboxes filled: {full}"] if full else []
        return "; ".join(parts) or "nothing waits"


class Quiet:
    """Fed with looks, says since when the platform has been quiet, once that has held for `hold_seconds`."""

    def __init__(self, hold_seconds: float = HOLD_SECONDS) -> None:
        self.hold_seconds = hold_seconds
        self._since: float | None = None
        self._moved: tuple[int, ...] | None = None

    def since(self, now: float, look: Look) -> float | None:
        """The instant of the first of an unbroken row of looks that were all still and all alike."""
        if not look.is_still or look.moved != self._moved:
            self._since = now if look.is_still else None
        self._moved = look.moved
        if self._since is not None and now - self._since >= self.hold_seconds:
            return self._since
        return None


def behind(positions: dict[Place, int | None], ends: dict[Place, int]) -> int:
    """How many records one consumer has yet to settle. A partition never settled counts from its beginning."""
    return sum(max(0, ends.get(place, 0) - (position or 0)) for place, position in positions.items())


class Watcher:
    """Looks at all databases and topics of one home."""

    def __init__(self, runtime: Runtime, services: Sequence[str]) -> None:
        self.runtime = runtime
        self.services = tuple(services)
        self._databases: list[asyncpg.Connection] = []
        self._kafka: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        self._kafka = AIOKafkaConsumer(bootstrap_servers=self.runtime.kafka_address)
        await self._kafka.start()
        for service in self.services:
            settings = {"search_path": service}
            connection = await asyncpg.connect(self.runtime.database_url(service), server_settings=settings)
            self._databases.append(connection)

    async def close(self) -> None:
        for connection in self._databases:
            await connection.close()
        if self._kafka is not None:
            await self._kafka.stop()

    async def look(self) -> Look:
        found = [await self._look_at(connection) for connection in self._databases]
        read = sorted({place for positions, _ in found for place in positions})
        ends = await self.ends(read)
        moved = [ends[place] for place in read]
        moved += [positions[place] or 0 for positions, _ in found for place in sorted(positions)]
        return Look(
            behind={s: behind(positions, ends) for s, (positions, _) in zip(self.services, found, strict=True)},
            waiting={s: waiting for s, (_, waiting) in zip(self.services, found, strict=True)},
            moved=tuple(moved),
        )

    async def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """The offset after the last record of each partition."""
        assert self._kafka is not None
        ends = await self._kafka.end_offsets([TopicPartition(*place) for place in places])
        return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    @staticmethod
    async def _look_at(connection: asyncpg.Connection) -> tuple[dict[Place, int | None], bool]:
        rows = await connection.fetch("SELECT topic, part, next_offset FROM consumer_offsets")
        # by its key (EXISTS would look through the table itself, and so through all that has been sent meanwhile)
        oldest = await connection.fetchval("SELECT seq FROM outbox ORDER BY seq LIMIT 1")
        return {(row[0], row[1]): row[2] for row in rows}, oldest is not None


async def until_quiet(
    watcher: Watcher, seconds_max: float, say: Callable[[str], None], done: asyncio.Event | None = None
) -> float:
    """Wait until all is quiet (and `done` is set, when given); the instant since when it was. Raises TimeoutError."""
    quiet, began, told = Quiet(), monotonic(), monotonic()
    deadline = began + seconds_max
    while monotonic() < deadline:
        now = monotonic()
        look = await watcher.look()
        if done is None or done.is_set():
            since = quiet.since(now, look)
            if since is not None:
                return since
        if now - told >= TELL_EVERY_SECONDS:
            told = now
            say(f"  {now - began:5.0f} s  {look.told()}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    raise TimeoutError(f"not quiet within {seconds_max:.0f} s")
