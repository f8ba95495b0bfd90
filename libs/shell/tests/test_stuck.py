"""Kafka clients that wait for ever and cannot be cancelled are replaced."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from shell.kafka import client
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handlers
from shell.kafka.pace import Pace
from shell.kafka.relay import Relay
from shell.settings import settings
from shell.store.database import Database

SECONDS_MAX = 20


class Stuck:
    """A client of aiokafka whose group never gets its members together: no call returns."""

    made: list["Stuck"]

    def __init__(self, waits_in: str) -> None:
        self._client = SimpleNamespace(_sync_task=None, _conns={})  # nothing of it has begun
        self._fetcher = self._coordinator = None
        self._waits_in = waits_in
        self.stopped = False
        self.made.append(self)

    def subscribe(self, **options: Any) -> None:
        """Accepted, as always."""

    async def start(self) -> None:
        await self._wait_in("start")

    def assignment(self) -> set[Any]:
        return set()

    async def getmany(self, **options: Any) -> dict[Any, Any]:
        await self._wait_in("getmany")
        if self._waits_in == "stop":
            raise KafkaConnectionError
        return {}

    async def stop(self) -> None:
        self.stopped = True
        await self._wait_in("stop")

    async def _wait_in(self, step: str) -> None:
        if step == self._waits_in:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()  # until the test's own loop ends it


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Stuck]:
    Stuck.made = []
    monkeypatch.setattr(client, "STUCK_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(client, "STOP_SECONDS_MAX", 0.05)
    return Stuck.made


async def until_another(clients: list[Stuck], running: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while len(clients) < 2:
            await asyncio.sleep(0.01)
            assert not running.done()
    assert clients[0].stopped
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("waits_in", ["start", "getmany", "stop"])
async def test_a_consumer_that_hears_nothing_of_its_client_takes_a_new_one(
    waits_in: str, clients: list[Stuck], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "consumer", lambda *wanted, **more: Stuck(waits_in))
    consumer = Consumer("probe", database, Handlers({}, {"probe": lambda records, tx: asyncio.sleep(0)}), settings())
    await until_another(clients, asyncio.create_task(consumer.run()))


@pytest.mark.parametrize("waits_in", ["start", "stop"])
async def test_a_relay_that_hears_nothing_of_its_client_takes_a_new_one(
    waits_in: str, clients: list[Stuck], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "producer", lambda wanted: Stuck(waits_in))
    relay = Relay(database, settings(), Pace([], settings()))
    running = asyncio.create_task(relay.run())
    if waits_in == "stop":  # its connection is lost meanwhile, and the client cannot say goodbye
        async with asyncio.timeout(SECONDS_MAX):
            while not relay.active:
                await asyncio.sleep(0.01)
        await database.pool.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name LIKE '%-relay'"""
        )
    await until_another(clients, running)


async def test_a_relay_that_has_lost_its_lock_begins_no_job(
    clients: list[Stuck], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have the lock, and run the same job, while the client of this relay stops."""
    monkeypatch.setattr(client, "producer", lambda wanted: Stuck("stop"))
    relay = Relay(database, settings(), Pace([], settings()))
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(SECONDS_MAX):
        while not relay.active:
            await asyncio.sleep(0.01)
        await database.pool.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name LIKE '%-relay'"""
        )
        while not clients[0].stopped:
            await asyncio.sleep(0.01)
    assert not relay.active
    assert not database.relays_here
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
