"""Waits until the platform is quiet: outboxes are empty, consumers are at the end of their topics, nothing moves."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer
from shell.kafka.client import connection
from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime

from benchmarks.home import Report, connect, progress, stateful
from benchmarks.kafka import Partition, topic_partitions

POLL_SECONDS = 0.5
PROGRESS_EVERY_SECONDS = 2.0
HOLD_SECONDS = 2.0
EXPLAINED_SECONDS_MAX = 1_800
T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """The state of all services at one moment. `lag`: records that a consumer has not processed yet, by service.

    `pending`: whether the outbox has a row, by service; a count would cost the database more than a batch. `positions`:
    all offsets and topic ends, to compare two snapshots."""

    lag: Mapping[str, int]
    pending: Mapping[str, bool]
    positions: tuple[int, ...]

    @property
    def is_drained(self) -> bool:
        """Whether there is no lag and no pending outbox row."""
        return not any(self.lag.values()) and not any(self.pending.values())

    def summary(self) -> str:
        """The services that are behind, as text for a line of progress."""
        parts = []
        if lags := self._lags():
            parts.append(f"records behind: {', '.join(lags)}")
        if filled := self._filled():
            parts.append(f"outboxes filled: {', '.join(filled)}")
        return "; ".join(parts) or "nothing waits"

    def _lags(self) -> list[str]:
        return [f"{service} {count:,}" for service, count in self.lag.items() if count]

    def _filled(self) -> list[str]:
        return [service for service, is_pending in self.pending.items() if is_pending]


class QuietDetector:
    """Compares snapshots. The platform is quiet after `hold_seconds` of equal drained snapshots."""

    def __init__(self, hold_seconds: float = HOLD_SECONDS) -> None:
        self.hold_seconds = hold_seconds
        self._since: float | None = None
        self._positions: tuple[int, ...] | None = None

    def quiet_since(self, now: float, snapshot: Snapshot) -> float | None:
        """The instant of the first of the equal drained snapshots, once it is `hold_seconds` ago; else None."""
        if not snapshot.is_drained or snapshot.positions != self._positions:
            self._since = now if snapshot.is_drained else None
        self._positions = snapshot.positions
        if self._since is not None and now - self._since >= self.hold_seconds:
            return self._since
        return None


def lag_of(offsets: Mapping[Partition, int | None], ends: Mapping[Partition, int]) -> int:
    """How many records one consumer has still to process. A partition without an offset counts from its beginning."""
    return sum(max(0, ends.get(partition, 0) - (offset or 0)) for partition, offset in offsets.items())


class _ServiceState(NamedTuple):
    """The state of one service. `offsets`: next offset per partition, None before the first batch.

    `pending`: whether the outbox has a row."""

    offsets: dict[Partition, int | None]
    pending: bool

    @property
    def positions(self) -> list[int]:
        """The offsets in the order of the partitions."""
        return [self.offsets[partition] or 0 for partition in sorted(self.offsets)]


class Watcher:
    """Takes snapshots of the databases and topics of one home."""

    def __init__(self, runtime: Runtime, services: Sequence[str]) -> None:
        self.runtime = runtime
        self.services = tuple(services)
        self._databases: dict[str, asyncpg.Connection] = {}
        self._kafka: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        self._kafka = AIOKafkaConsumer(**connection(self.runtime.kafka_settings(OPERATOR)))
        await self._kafka.start()
        for service in self.services:
            self._databases[service] = await connect(self.runtime, service)

    async def close(self) -> None:
        for database in self._databases.values():
            await database.close()
        if self._kafka is not None:
            await self._kafka.stop()

    async def snapshot(self) -> Snapshot:
        states = {service: await _read_state(connection) for service, connection in self._databases.items()}
        partitions = {partition for state in states.values() for partition in state.offsets}
        ends = await self.ends(sorted(partitions))
        positions = list(ends.values())
        for state in states.values():
            positions += state.positions
        return Snapshot(
            lag={service: lag_of(state.offsets, ends) for service, state in states.items()},
            pending={service: state.pending for service, state in states.items()},
            positions=tuple(positions),
        )

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The offset after the last record of each partition, in the order of `partitions`."""
        assert self._kafka is not None
        wanted = topic_partitions(partitions)
        ends = await self._kafka.end_offsets(wanted)
        return {(each.topic, each.partition): ends[each] for each in wanted}


async def _read_state(connection: asyncpg.Connection) -> _ServiceState:
    rows = await connection.fetch("SELECT topic, part, next_offset FROM consumer_offsets")
    # By the primary key: EXISTS would scan the table with all rows that were deleted meanwhile.
    oldest = await connection.fetchval("SELECT seq FROM outbox ORDER BY seq LIMIT 1")
    return _ServiceState({(row[0], row[1]): row[2] for row in rows}, oldest is not None)


@asynccontextmanager
async def watching(runtime: Runtime) -> AsyncIterator[Watcher]:
    """An open watcher of all running services with a database."""
    watcher = Watcher(runtime, stateful(runtime))
    await watcher.open()
    try:
        yield watcher
    finally:
        await watcher.close()


async def wait_until_quiet(
    watcher: Watcher,
    seconds_max: float,
    report: Report = progress,
    pushed: asyncio.Event | None = None,
) -> float:
    """Wait until all is quiet, and not before `pushed` is set. Returns the first quiet instant, in monotonic seconds.

    `report` takes lines of progress. Raises TimeoutError after `seconds_max`.
    """
    detector, began, reported_at = QuietDetector(), monotonic(), monotonic()
    deadline = began + seconds_max
    while monotonic() < deadline:
        now = monotonic()
        snapshot = await watcher.snapshot()
        if pushed is None or pushed.is_set():
            since = detector.quiet_since(now, snapshot)
            if since is not None:
                return since
        if now - reported_at >= PROGRESS_EVERY_SECONDS:
            reported_at = now
            report(f"  {now - began:5.0f} s  {snapshot.summary()}")
        await asyncio.sleep(POLL_SECONDS)
    raise TimeoutError(f"not quiet within {seconds_max:.0f} s")


class Timed(NamedTuple, Generic[T]):
    """The result of a push, and the seconds from its start to its end and to the quiet platform."""

    result: T
    pushed_seconds: float
    quiet_seconds: float


async def time_until_quiet(
    watcher: Watcher, push: Coroutine[Any, Any, T], seconds_max: float, report: Report = progress
) -> Timed[T]:
    """Run `push` and wait until all is quiet after it.

    Raises an ExceptionGroup: with a TimeoutError after `seconds_max`, or with the error of `push`.
    """
    pushed = asyncio.Event()
    began = monotonic()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait_until_quiet(watcher, seconds_max, report, pushed))
        result = await push
        pushed_seconds = monotonic() - began
        report(f"  all pushed after {pushed_seconds:.1f} s")
        pushed.set()
    return Timed(result, pushed_seconds, waiting.result() - began)


async def wait_until_explained(runtime: Runtime, seconds_max: float = EXPLAINED_SECONDS_MAX) -> tuple[int, float]:
    """Wait until the reasons of all refusals are written.

    Returns how many decisions lacked reasons at the beginning, and the seconds of waiting. Raises TimeoutError after
    `seconds_max`."""
    began = monotonic()
    connection = await connect(runtime, "identification")
    try:
        missing = left = await _count_unexplained(connection)
        while left:
            if monotonic() - began >= seconds_max:
                raise TimeoutError(f"{left:,} decisions without reasons after {seconds_max:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
            left = await _count_unexplained(connection)
    finally:
        await connection.close()
    return missing, monotonic() - began


async def _count_unexplained(connection: asyncpg.Connection) -> int:
    """Decisions without reasons; 0 if a compared commit does not have the table."""
    if await connection.fetchval("SELECT to_regclass('unexplained') IS NULL"):
        return 0
    count: int = await connection.fetchval("SELECT count(*) FROM unexplained")
    return count
