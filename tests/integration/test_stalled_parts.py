"""The consumer, the relay and the console's reader stand still on a real broker, and the watchdog gets them going."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from common.events import AbilitiesDetermined
from common.message import Message
from console.domain.chain import Chain
from console.domain.item_titles import ItemTitles
from console.domain.meter import Meter
from console.reader import Reader
from shell.kafka import client
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.kafka.pace import Pace
from shell.kafka.probes import Broker
from shell.kafka.relay import Relay
from shell.parts import consumer_part, relay_part
from shell.settings import Settings
from shell.store.database import Database
from shell.store.transaction import Tx
from shell.testing import event_record
from shell.watchdog import Guard, Part
from shouwang.trials.broken_requests import intercepted

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DEADLINE_SECONDS = 60
TOPIC = AbilitiesDetermined.topic


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"look_seconds": 0.2, "stall_seconds": 3.0})


@pytest.fixture
async def broker(quick: Settings) -> AsyncIterator[Broker]:
    broker = Broker(quick)
    yield broker
    await broker.close()


@asynccontextmanager
async def guarded(part: Part, settings: Settings) -> AsyncIterator[Guard]:
    given_up: list[str] = []
    guard = Guard("probe", part, settings, given_up.append)
    task = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not given_up


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def send(settings: Settings, people: Sequence[str]) -> None:
    producer = client.producer(settings)
    await producer.start()
    try:
        for person in people:
            event = AbilitiesDetermined(person_id=person, version=1, recorded_at=NOW, abilities=())
            record = event_record(event)
            await producer.send(TOPIC, record.value, key=record.key, headers=list(record.headers))
        await producer.flush()
    finally:
        await client.stop(producer)


class Handled:
    """A consumer of abilities. Its handler waits `seconds` for each message, or for ever while `hangs`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.people: set[str] = set()
        self.batches: list[int] = []
        self.hangs = False
        self.seconds = 0.0
        group = f"probe-{uuid4().hex[:8]}"
        self.consumer = Consumer(group, database, Handlers({AbilitiesDetermined: self._on_messages}), settings)

    async def _on_messages(self, messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
        self.batches.append(len(messages))
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(self.seconds * len(messages))
        self.people.update(m.data.person_id for m in messages)


async def test_a_handler_that_hangs_is_cancelled_and_the_records_are_handled(
    database: Database, quick: Settings, broker: Broker
) -> None:
    handled = Handled(database, quick)
    people = [str(uuid4()) for _ in range(20)]
    handled.hangs = True
    async with guarded(consumer_part(handled.consumer, broker, quick), quick) as guard:
        await send(quick, people)
        await until(lambda: guard.trouble is not None and "records wait" in guard.trouble)
        handled.hangs = False
        await until(lambda: set(people) <= handled.people)
        await until(lambda: guard.trouble is None)


async def test_a_batch_that_is_only_slow_moves_in_smaller_pieces(
    database: Database, quick: Settings, broker: Broker
) -> None:
    people = [str(uuid4()) for _ in range(400)]
    await send(quick, people)
    settings = quick.model_copy(update={"batch_records_max": 160})
    handled = Handled(database, settings)
    handled.seconds = 0.05  # a full batch takes eight seconds, and three are the bound
    async with guarded(consumer_part(handled.consumer, broker, settings), settings):
        await until(lambda: len(handled.people) >= 50)
    assert max(handled.batches) > 60
    assert min(handled.batches) <= 20


async def test_a_consumer_with_nothing_to_read_is_left_alone(
    database: Database, quick: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled = Handled(database, quick)
    made: list[Any] = []
    make = client.consumer
    monkeypatch.setattr(client, "consumer", lambda s, group: made.append(group) or make(s, group))
    async with guarded(consumer_part(handled.consumer, broker, quick), quick) as guard:
        people = [str(uuid4())]
        await send(quick, people)
        await until(lambda: set(people) <= handled.people)
        await asyncio.sleep(3 * quick.stall_seconds)
        assert guard.trouble is None
    assert made.count(handled.consumer.name) == 1


class Silence:
    """Requests of one kind get no answer while it is `on`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.on = False
        self.met = False

    def instead(self, request: str) -> "asyncio.Future[None] | None":
        if not (self.on and request.startswith(self.kind)):
            return None
        self.met = True
        return asyncio.get_running_loop().create_future()


@asynccontextmanager
async def silence_of(kind: str, settings: Settings) -> AsyncIterator[Silence]:
    silence = Silence(kind)
    with intercepted(settings.kafka, silence.instead):
        yield silence


async def test_a_relay_that_gets_no_answer_is_replaced_and_sends(
    database: Database, quick: Settings, broker: Broker
) -> None:
    relay = Relay(database, quick, Pace([], quick))
    part = relay_part(relay, broker, quick)
    async with silence_of("ProduceRequest", quick) as silence, guarded(part, quick) as guard:
        await until(lambda: relay.active)
        silence.on = True
        async with database.transaction() as tx:
            event = AbilitiesDetermined(person_id=str(uuid4()), version=1, recorded_at=NOW, abilities=())
            tx.emit(event, str(uuid4()))
        await until(lambda: guard.trouble is not None and "events wait in the outbox" in guard.trouble)
        silence.on = False
        await until(lambda: guard.trouble is None)
        assert await database.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_the_reader_of_the_console_is_replaced_when_it_shows_nothing(quick: Settings) -> None:
    reader = Reader(quick, Chain(), Meter(), ItemTitles())
    async with silence_of("FetchRequest", quick) as silence, guarded(reader.part(), quick) as guard:
        await until(lambda: reader.trouble is None)
        reader.watchers += 1
        reader.watched.set()
        await send(quick, [str(uuid4())])
        await until(lambda: reader.chain.seq > 0)
        silence.on = True
        await until(lambda: silence.met)  # the request before it may still be answered
        await send(quick, [str(uuid4()) for _ in range(5)])
        await until(lambda: guard.trouble is not None and "records wait" in guard.trouble)
        silence.on, seen = False, reader.chain.seq
        await until(lambda: guard.trouble is None)
        await send(quick, [str(uuid4())])
        await until(lambda: reader.chain.seq > seen)
    await reader.close()


async def test_an_exception_of_the_library_does_not_end_the_reader_of_the_console(quick: Settings) -> None:
    reader = Reader(quick, Chain(), Meter(), ItemTitles())
    struck = asyncio.Event()

    def instead(request: str) -> None:
        if reader.trouble is None and not struck.is_set() and request.startswith("OffsetRequest"):
            struck.set()
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>")

    with intercepted(quick.kafka, instead):
        async with guarded(reader.part(), quick):
            await until(struck.is_set)
            reader.trouble = "struck"
            await until(lambda: reader.trouble is None)
    await reader.close()
