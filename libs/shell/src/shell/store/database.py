"""The PostgreSQL database of one service, as a pool of asyncpg connections.

Only `Database.transaction` commits. The events of a transaction are written to the outbox before the commit, so a
change and its events are committed together.
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


async def _reset_nothing(connection: asyncpg.Connection) -> None:
    """Replace the pool's reset of a returned connection, which would cost a further round trip, by nothing.

    No use case keeps a setting, lock or cursor after its transaction. The pool itself rolls back a transaction that a
    cancelled request left open. A caller that takes a session lock must release it (see the imports of ingestion)."""


class Database:
    """The connections to the database of one service. `url`: `postgresql://…`. `schema`: the name of the service, and
    the first schema of the search path. `limits`: the settings that limit the sessions (shell.store.sessions); None:
    the settings of the process.

    `after_commit`: functions to call after a commit with events. `relays_here`: this process relays the outbox; if not,
    a commit notifies the process that does."""

    def __init__(self, url: str, schema: str, *, connections_max: int = 8, limits: Settings | None = None) -> None:
        self.url = url
        self.schema = schema
        self._connections_max = connections_max
        self._limits = limits or settings()
        self._pool: asyncpg.Pool | None = None
        self.after_commit: list[Callable[[], None]] = []
        self.relays_here = False
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
            reset=_reset_nothing,
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
        """Announce a backlog for a number of seconds. While `hurried` is true, work that can wait should wait."""
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
        """Open a connection outside the pool, for the session lock of the relay. The server ends the session and frees
        the lock after `relay_idle_seconds_max` of silence."""
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
        """Return the first value of a statement, over a new connection. It shows whether the server answers,
        independently of the pool."""
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
        """A transaction for one batch or request. Its changes and events are committed together, or not at all."""
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
        """A connection for reads outside a transaction."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            yield connection
