"""Errors of PostgreSQL, its client and the network: temporary ones, and those that a value of the caller causes."""

from typing import Final

import asyncpg
from common.errors import Unavailable

UNAVAILABLE: Final = (
    Unavailable,
    OSError,  # includes refused and lost connections
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # asyncpg raises it for a pooled connection that a stopping server has just ended: the last message is read, and the
    # end of the socket is not. Its other causes are faults of the client, and no statement of ours causes them.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,  # after a failover the former primary is a standby
    # The limits of a session (shell.store.sessions): a lock, a statement or a session that took too long.
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
)

# PostgreSQL or its client rejects a value that a caller gave: NUL, a number or a date outside the range of its type.
UNSTORABLE: Final = (asyncpg.DataError, OverflowError)


def is_unavailable(error: BaseException) -> bool:
    """Whether the error is temporary: the same attempt can succeed later without any change."""
    return isinstance(error, UNAVAILABLE)
