"""The relay's connection to PostgreSQL goes silent: another relay takes over, and the first one does not hang."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from common.events import AbilitiesDetermined
from shell.kafka.pace import Pace
from shell.kafka.relay import Relay
from shell.settings import Settings
from shell.store.database import Database

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DEADLINE_SECONDS = 30
LIMITS = {
    "relay_beat_seconds": 0.5,
    "relay_statement_seconds_max": 1.0,
    "relay_idle_seconds_max": 3.0,
    "keepalive_idle_seconds": 1.0,
    "keepalive_interval_seconds": 1.0,
    "keepalive_count": 3,
}
TAKEN_OVER_SECONDS_MAX = 8.0


class Proxy:
    """A proxy before PostgreSQL. While `silent`, it keeps every connection open and forwards no byte."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._connections = set[asyncio.Task[None]]()
        self.silent = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        try:
            await asyncio.gather(self._pass_on(reader, there_writer), self._pass_on(there_reader, writer))
            await asyncio.Event().wait()  # half-open: neither end learns that the other one is gone
        finally:
            for end in (writer, there_writer):
                end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.silent.is_set():
                return
            writer.write(data)
            with suppress(ConnectionError):
                await writer.drain()


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update=LIMITS)


@asynccontextmanager
async def relaying(url: str, settings: Settings) -> AsyncIterator[Relay]:
    """A relay as in a separate process, with its database at `url`."""
    database = Database(url, "probe", limits=settings)
    relay = Relay(database, settings, Pace([], settings))
    task = asyncio.create_task(relay.run(), name="relay")
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emit(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        for _ in range(count):
            event = AbilitiesDetermined(person_id=str(uuid4()), version=1, recorded_at=NOW, abilities=())
            tx.emit(event, str(uuid4()))


async def waiting(database: Database) -> int:
    found: int = await database.pool.fetchval("SELECT count(*) FROM outbox")
    return found


async def until_active(relay: Relay, active: bool, seconds: float = DEADLINE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while relay.active is not active:
            await asyncio.sleep(0.01)


async def until_empty(database: Database) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await waiting(database):
            await asyncio.sleep(0.02)


async def test_another_relay_takes_over_from_a_half_open_connection(database: Database, quick: Settings) -> None:
    there = urlsplit(database.url)
    async with Proxy(there.hostname or "", there.port or 0).listening() as proxy:
        through = there._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl()
        async with relaying(through, quick) as first:
            await until_active(first, True)
            async with relaying(database.url, quick) as second:
                await emit(database, 10)
                await until_empty(database)
                assert not second.active

                proxy.silent.set()
                began = monotonic()
                await emit(database, 10)
                await until_active(first, False, TAKEN_OVER_SECONDS_MAX)  # it has noticed, and does not hang
                await until_active(second, True, TAKEN_OVER_SECONDS_MAX)
                assert monotonic() - began < TAKEN_OVER_SECONDS_MAX
                await until_empty(database)


async def test_a_relay_that_waits_for_the_broker_keeps_its_lock(
    database: Database, quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends nothing to the database meanwhile, but it is alive."""
    free = asyncio.Event()
    send = Relay._send

    async def slow(relay: Relay, *more: object) -> None:
        await free.wait()
        await send(relay, *more)  # type: ignore[arg-type]

    async with relaying(database.url, quick) as first:
        await until_active(first, True)
        monkeypatch.setattr(Relay, "_send", slow)
        async with relaying(database.url, quick) as second:
            await emit(database, 1)
            until = monotonic() + 2 * quick.relay_idle_seconds_max
            while monotonic() < until:
                assert first.active
                assert not second.active
                await asyncio.sleep(0.1)
            free.set()
            await until_empty(database)


async def test_client_and_server_of_every_connection_detect_a_dead_peer(database: Database) -> None:
    async with database.reading() as pooled:
        await _is_bounded(pooled, SHOWN)
    connection = await database.connect()
    try:
        await _is_bounded(connection, SHOWN | OF_A_RELAY)
    finally:
        connection.terminate()


async def _is_bounded(connection: asyncpg.Connection, expected: dict[str, str]) -> None:
    assert {name: await connection.fetchval(f"SHOW {name}") for name in expected} == expected
    ours = connection._transport.get_extra_info("socket")
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 25_000


SHOWN = {
    "statement_timeout": "66s",
    "idle_in_transaction_session_timeout": "2min",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "client_connection_check_interval": "10s",
    "lock_timeout": "30s",
    "idle_session_timeout": "0",
}
OF_A_RELAY = {
    "statement_timeout": "16500ms",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "30s",
}
