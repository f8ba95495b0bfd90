"""One PostgreSQL database per service: a raw pool; its tables are SQLModel classes, its statements are SQL.

Only `Database.transaction` commits. What a transaction emits is written to the outbox before the commit, so a
change and the news of it are one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

import asyncpg

from shell.faults import crash_point
from shell.settings import Settings, settings
from shell.store.outbox import OUTBOX_CHANNEL, write_outbox
from shell.store.sessions import Session, pool_session, relay_session
from shell.store.transaction import Tx

ACQUIRE_SECONDS_MAX: Final = 30.0  # for a connection of the pool
CONNECT_SECONDS_MAX: Final = 10.0


async def _prepare(connection: asyncpg.Connection) -> None:
    # Ids are strings in Python and uuid in PostgreSQL.
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing to reset: no use case leaves a setting, lock or cursor behind its transaction, and to make sure of it
    after each one would cost a round trip as dear as any of ours. A transaction left open (a cancelled request) is
    still rolled back by the pool itself. Who takes a session's lock here gives it back (see ingestion's imports)."""


class Database:
    """`url` is `postgresql://…`; `schema` is the service's name and the first on the search path.

    `limits`: the settings that bound its sessions (shell.store.sessions); those of the process by default.
    """

    def __init__(self, url: str, schema: str, *, connections_max: int = 8, limits: Settings | None = None) -> None:
        self.url = url
        self.schema = schema
        self._connections_max = connections_max
        self._limits = limits or settings()
        self._pool: asyncpg.Pool | None = None
        self.after_commit: list[Callable[[], None]] = []  # the relay asks to be woken
        self.relays_here = False  # otherwise another process must be told that the outbox has something
        self._hurried_until = 0.0

    async def open(self) -> None:
        session = pool_session(self._limits)

        async def prepare(connection: asyncpg.Connection) -> None:
            session.keep_alive(connection)
            await _prepare(connection)

        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._connections_max,
            init=prepare,
            reset=_leave_as_it_is,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=session.statement,
            server_settings=self._server_settings(session, self.schema),
        )

    def _server_settings(self, session: Session, name: str) -> dict[str, str]:
        return {"search_path": f"{self.schema},public", "application_name": name, **session.server_settings()}

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    def hurry(self, seconds: float) -> None:
        """What can wait shall, for so long: there is more live work than time."""
        self._hurried_until = monotonic() + seconds

    @property
    def hurried(self) -> bool:
        return monotonic() < self._hurried_until

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    async def connect(self) -> asyncpg.Connection:
        """The relay's connection outside the pool, for a session-wide lock. The server ends the session, and with it
        the lock, when it hears nothing for `relay_idle_seconds_max`."""
        session = relay_session(self._limits)
        connection = await asyncpg.connect(
            self.url,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=session.statement,
            server_settings=self._server_settings(session, f"{self.schema}-relay"),
        )
        try:
            session.keep_alive(connection)
            await _prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def ask(self, statement: str) -> Any:
        """One value over a connection of its own. It shows whether the server answers, whatever the pool does."""
        connection = await asyncpg.connect(
            self.url,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=CONNECT_SECONDS_MAX,
            server_settings=self._server_settings(pool_session(self._limits), f"{self.schema}-watchdog"),
        )
        try:
            return await connection.fetchval(statement)
        finally:
            connection.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """One batch or one request: everything inside is committed together with what it emits, or not at all."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                tx = Tx(connection, self.schema)
                yield tx
                await write_outbox(connection, tx.emitted)
                if tx.emitted and not self.relays_here:
                    await connection.execute(f"NOTIFY {OUTBOX_CHANNEL}")
                crash_point("before_commit")
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()
        crash_point("after_commit")
        if tx.emitted:
            for wake in self.after_commit:
                wake()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncpg.Connection]:
        """A raw connection for reads outside a transaction."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            yield connection
