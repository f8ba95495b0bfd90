"""Describe the parts of a service for the watchdog: their progress, and the work that waits for them."""

from typing import NamedTuple

from aiokafka import TopicPartition

from shell.jobs import Job, Turns, run_job
from shell.kafka.consumer import Consumer
from shell.kafka.probes import Broker
from shell.kafka.relay import Relay
from shell.settings import Settings
from shell.store.database import Database
from shell.watchdog import Part


def consumer_part(consumer: Consumer, broker: Broker, settings: Settings) -> Part:
    """Describe the consumer. Its progress is the number of settled batches. The records after its positions wait."""
    group = _Group(consumer, broker)
    return Part(
        name="consumer",
        run=consumer.run,
        progress=lambda: consumer.settled,
        waiting=group.waiting,
        bound_seconds=settings.stall_seconds,
        before_replacing=consumer.lighten,
    )


class _Position(NamedTuple):
    """The stored position of the group in one partition. `is_stopped`: it waits for an operator."""

    place: TopicPartition
    next_offset: int | None
    is_stopped: bool


class _Group:
    """Finds the records that wait for one consumer. For a process without a partition, waiting records count only if no
    process of its Kafka group makes progress."""

    def __init__(self, consumer: Consumer, broker: Broker) -> None:
        self._consumer = consumer
        self._broker = broker
        self._before: list[_Position] | None = None

    async def waiting(self) -> str | None:
        positions = self._consumer.next_offsets()
        waits = await (self._records(positions) if positions is not None else self._behind_group())
        if waits is not None:
            await self._consumer.database.ask("SELECT 1")  # raises if the consumer waits for the database
        return waits

    async def _behind_group(self) -> str | None:
        before, self._before = self._before, await self._load_positions()
        if not self._before:
            await self._broker.topics()
            return "no partition was ever assigned"
        if before != self._before:
            return None
        return await self._records({row.place: row.next_offset for row in self._before if not row.is_stopped})

    async def _records(self, positions: dict[TopicPartition, int | None]) -> str | None:
        waiting = await self._broker.waiting(positions) if positions else 0
        return f"{waiting} records wait" if waiting else None

    async def _load_positions(self) -> list[_Position]:
        async with self._consumer.database.reading() as connection:
            rows = await connection.fetch(
                """SELECT topic, part, next_offset, stopped IS NOT NULL AS is_stopped FROM consumer_offsets
                   WHERE consumer = $1 ORDER BY topic, part""",
                self._consumer.name,
            )
        return [_Position(TopicPartition(*row[:2]), *row[2:]) for row in rows]


def relay_part(relay: Relay, broker: Broker, settings: Settings) -> Part:
    """Describe the relay. It makes progress when it sends rows, waits for a slow reader, or waits for the relay of
    another process. The rows of the outbox wait."""

    async def waiting() -> str | None:
        if not await relay.database.ask("SELECT EXISTS (SELECT 1 FROM outbox)"):
            return None
        await broker.topics()
        return "events wait in the outbox"

    return Part("relay", relay.run, lambda: relay.moves, waiting, settings.stall_seconds)


def job_part(job: Job, database: Database, relay: Relay, settings: Settings) -> Part:
    """Describe a job. Its progress is the number of ended steps. A running step is the work that waits."""
    turns = Turns()

    async def waiting() -> str | None:
        if not turns.running:
            return None
        await database.ask("SELECT 1")
        return "a step is running"

    bound = settings.job_seconds_max if job.step_seconds_max is None else job.step_seconds_max
    return Part(job.name, lambda: run_job(job, database, relay, turns), lambda: turns.ended, waiting, bound)
