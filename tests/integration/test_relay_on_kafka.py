"""The relay, the pace and the consumer on a real broker."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer
from common.events import AbilitiesDetermined, VisitMissed
from common.message import Message
from shell.kafka.client import connection
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.kafka.pace import Pace
from shell.kafka.relay import Relay
from shell.kafka.topics import PaceRule, Topic
from shell.settings import Settings
from shell.store.database import Database
from shell.store.transaction import Tx

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DEADLINE_SECONDS = 30


def ability(person_id: str, version: int = 1) -> AbilitiesDetermined:
    return AbilitiesDetermined(person_id=person_id, version=version, recorded_at=NOW, abilities=())


async def emit(database: Database, events: Sequence[Any], *, urgent: bool = False) -> None:
    async with database.transaction() as tx:
        for event in events:
            tx.emit(event, str(uuid4()), urgent=urgent)


class Reader:
    """A reader of all new records of a topic, without a group."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._client = AIOKafkaConsumer(topic, **connection(settings), auto_offset_reset="latest")
        self.keys: list[str] = []
        self.values: list[bytes] = []

    async def __aenter__(self) -> "Reader":
        await self._client.start()
        for tp in self._client.assignment():
            await self._client.position(tp)  # new records count from here
        return self

    async def __aexit__(self, *gone: object) -> None:
        await self._client.stop()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.keys) < count:
                for records in (await self._client.getmany(timeout_ms=200)).values():
                    self.keys += [r.key.decode() for r in records]
                    self.values += [r.value for r in records]
        return self.keys

    async def nothing_more(self, seconds: float) -> bool:
        before = len(self.keys)
        for records in (await self._client.getmany(timeout_ms=int(seconds * 1000))).values():
            self.keys += [r.key.decode() for r in records]
        return len(self.keys) == before


async def active(relay: Relay) -> asyncio.Task[None]:
    task = asyncio.create_task(relay.run())
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not relay.active:
            await asyncio.sleep(0.01)
    return task


async def emptied(database: Database) -> None:
    """Wait until every outbox row is sent, acknowledged and deleted."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await database.pool.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.02)


async def stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_events_of_one_person_arrive_in_the_order_of_emission(database: Database, settings: Settings) -> None:
    relay = Relay(database, settings, Pace([], settings))
    people = [str(uuid4()) for _ in range(250)]  # more than fit in one row, and more rows than one query takes
    async with Reader(settings, "dispatch.visit") as reader:
        for n in range(5):
            await emit(database, [_missed(person, n) for person in people])
        task = await active(relay)
        for n in range(5, 10):
            await emit(database, [_missed(person, n) for person in people])
        await reader.until(2_500)
        await emptied(database)
        await stopped(task)
    for person in people:
        received = [value for key, value in zip(reader.keys, reader.values, strict=True) if key == person]
        assert [b'"task_id":"%d"' % n in value for n, value in enumerate(received)] == [True] * 10


def _missed(person_id: str, n: int) -> VisitMissed:
    day = NOW.date()
    return VisitMissed(
        person_id=person_id, task_id=str(n), item="visiting_care", division="530302", window_from=day, window_to=day
    )


async def test_only_one_of_two_relays_sends_and_the_other_takes_over(database: Database, settings: Settings) -> None:
    first, second = (Relay(database, settings, Pace([], settings)) for _ in range(2))
    async with Reader(settings, "assessment.ability") as reader:
        first_task = await active(first)
        second_task = asyncio.create_task(second.run())
        await emit(database, [ability(str(uuid4())) for _ in range(50)])
        await reader.until(50)
        assert not second.active
        await emptied(database)  # a row whose relay stops between sending and deleting is sent again
        await stopped(first_task)
        await emit(database, [ability(str(uuid4())) for _ in range(50)])
        await reader.until(100)
        assert second.active
        assert len(set(reader.keys)) == 100
        await stopped(second_task)


async def test_a_death_overtakes_a_backlog_that_waits_for_a_slow_reader(database: Database, settings: Settings) -> None:
    group = f"slow-{uuid4().hex[:8]}"
    gate, handled = asyncio.Event(), set[str]()

    async def slowly(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
        await gate.wait()
        handled.update(m.data.person_id for m in messages)

    consumer = Consumer(group, database, Handlers({AbilitiesDetermined: slowly}), settings)
    topic = Topic(
        name="assessment.ability",
        owner="probe",
        key="person_id",
        cleanup="compact",
        pace=PaceRule(consumers=[group], ahead_max=100),
    )
    relay = Relay(database, settings, Pace([topic], settings))
    async with Reader(settings, "assessment.ability") as reader:
        relay_task = await active(relay)
        consumer_task = asyncio.create_task(consumer.run())
        try:
            gate.set()
            people = {str(uuid4()) for _ in range(500)}
            await emit(database, [ability(person) for person in people])
            await reader.until(500)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not people <= handled:
                    await asyncio.sleep(0.02)
            gate.clear()
            # more than `ahead_max` are sent before the lag of the reader is known; then the rest waits
            await emit(database, [ability(f"first-{n}") for n in range(400)])
            await reader.until(900)
            assert await _held(relay)
            await emit(database, [ability(f"bulk-{n}") for n in range(300)])
            await emit(database, [ability("death", 1)], urgent=True)
            await reader.until(901)
            assert reader.keys[900] == "death"
            gate.set()
            await reader.until(1201)
        finally:
            gate.set()
            await stopped(relay_task, consumer_task)
    await relay.pace.close()


async def _held(relay: Relay) -> bool:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await relay.pace.holds():
            await asyncio.sleep(0.05)
    return True


async def test_a_stopped_reader_does_not_delay_other_readers(database: Database, settings: Settings) -> None:
    topic = Topic(
        name="assessment.ability",
        owner="probe",
        key="person_id",
        cleanup="compact",
        pace=PaceRule(consumers=[f"never-{uuid4().hex[:8]}"], ahead_max=10),
    )
    relay = Relay(database, settings, Pace([topic], settings))
    async with Reader(settings, "assessment.ability") as reader:
        task = await active(relay)
        for _ in range(5):
            await emit(database, [ability(str(uuid4())) for _ in range(100)])
        await reader.until(500)
        await stopped(task)
    await relay.pace.close()
