"""Errors of PostgreSQL, its client and the network: which of them pass by themselves, and which the caller caused."""

from typing import Final

import asyncpg
from common.errors import Unavailable

UNAVAILABLE: Final = (
    Unavailable,
    OSError,  # with it refused and lost connections, and time-outs
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says of a pooled connection that a dying server has just ended: it has read the server's last word
    # but not yet that the socket is closed. Its other causes are faults of the client alone, whatever we asked.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    # The limits of a session (shell.store.sessions): a lock, a statement or a session that took too long.
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
)

# PostgreSQL or its client refuses a value that a caller gave: NUL, a number or a date outside the range of its type.
UNSTORABLE: Final = (asyncpg.DataError, OverflowError)


def is_unavailable(error: BaseException) -> bool:
    """Whether trying the same thing again later can succeed without anybody changing anything."""
    return isinstance(error, UNAVAILABLE)
