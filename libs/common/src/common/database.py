"""One PostgreSQL database per service: a raw pool; its tables are SQLModel classes, its statements are SQL.

Only `Database.transaction` commits. What a transaction emits is written to the outbox before the commit, so a
change and the news of it are one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import asyncpg

from common.faults import crash_point
from common.outbox import OUTBOX_CHANNEL, write_outbox
from common.transaction import Tx

ACQUIRE_SECONDS_MAX: Final = 30.0  # for a connection of the pool


async def _prepare(connection: asyncpg.Connection) -> None:
    # Ids are strings in Python and uuid in PostgreSQL.
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing to reset: no use case leaves a setting, lock or cursor behind its transaction, and to make sure of it
    after each one would cost a round trip as dear as any of ours. A transaction left open (a cancelled request) is
    still rolled back by the pool itself. Who takes a session's lock here gives it back (see ingestion's imports)."""


class Database:
    """`url` is `postgresql://…`; `schema` is the service's name and the first on the search path."""

    def __init__(self, url: str, schema: str, *, connections_max: int = 8) -> None:
        self.url = url
        self.schema = schema
        self._connections_max = connections_max
        self._pool: asyncpg.Pool | None = None
        self.after_commit: list[Callable[[], None]] = []  # the relay asks to be woken
        self.relays_here = False  # otherwise another process must be told that the outbox has something
        self._hurried_until = 0.0

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._connections_max,
            init=_prepare,
            reset=_leave_as_it_is,
            command_timeout=60,
            server_settings={"search_path": f"{self.schema},public", "application_name": self.schema},
        )

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
        """A connection of one's own outside the pool, for a session-wide lock."""
        connection = await asyncpg.connect(
            self.url,
            command_timeout=60,
            server_settings={
                "search_path": f"{self.schema},public",
                "application_name": f"{self.schema}-relay",
            },
        )
        await _prepare(connection)
        return connection

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
