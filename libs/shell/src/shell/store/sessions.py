"""Time limits of PostgreSQL sessions per kind of connection, for the client and for the server.

The other end of a connection may disappear without closing it. The client must notice, or it waits for ever. The
server must notice too, or the dead session keeps its locks and no other process can take over.
"""

import socket
from typing import Final, NamedTuple

import asyncpg

from shell.settings import Settings

_MS: Final = 1000


class Session(NamedTuple):
    """The limits of one connection, in seconds. `idle`: the server ends a session that sends nothing for this time."""

    statement: float
    lock: float
    idle_in_transaction: float
    idle: float | None
    keepalive_idle: float
    keepalive_interval: float
    keepalive_count: int

    @property
    def silence(self) -> float:
        """Seconds until the network stack closes a connection whose other end acknowledges nothing."""
        return self.keepalive_idle + self.keepalive_interval * self.keepalive_count

    def server_settings(self) -> dict[str, str]:
        """Return the limits as settings of PostgreSQL. The server cancels a statement a little later than the client
        stops waiting."""
        found = {
            "statement_timeout": _ms(self.statement * 1.1),
            "lock_timeout": _ms(self.lock),
            "idle_in_transaction_session_timeout": _ms(self.idle_in_transaction),
            "tcp_keepalives_idle": str(_whole(self.keepalive_idle)),
            "tcp_keepalives_interval": str(_whole(self.keepalive_interval)),
            "tcp_keepalives_count": str(self.keepalive_count),
            "tcp_user_timeout": _ms(self.silence),
            "client_connection_check_interval": _ms(self.keepalive_idle),
        }
        if self.idle is not None:
            found["idle_session_timeout"] = _ms(self.idle)
        return found

    def keep_alive(self, connection: asyncpg.Connection) -> None:
        """Set the limits of silence on the client's end of the connection."""
        found = connection._transport.get_extra_info("socket")
        if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
            return  # the other end of a local socket cannot disappear
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", _whole(self.keepalive_idle)),
            ("TCP_KEEPINTVL", _whole(self.keepalive_interval)),
            ("TCP_KEEPCNT", self.keepalive_count),
            ("TCP_USER_TIMEOUT", int(self.silence * _MS)),
        ):
            if hasattr(socket, option):  # not every system has all of them
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def pool_session(settings: Settings) -> Session:
    """Return the limits of a pool connection. It may be idle for any time, but not inside a transaction."""
    return Session(
        statement=settings.statement_seconds_max,
        lock=settings.lock_seconds_max,
        idle_in_transaction=settings.idle_in_transaction_seconds_max,
        idle=None,
        keepalive_idle=settings.keepalive_idle_seconds,
        keepalive_interval=settings.keepalive_interval_seconds,
        keepalive_count=settings.keepalive_count,
    )


def relay_session(settings: Settings) -> Session:
    """Return the limits of the relay's connection, which holds the session lock. The relay uses it at least every
    `relay_beat_seconds`. So a silent connection is dead, and the server must free its lock."""
    return pool_session(settings)._replace(
        statement=settings.relay_statement_seconds_max,
        lock=settings.relay_statement_seconds_max,
        idle_in_transaction=settings.relay_idle_seconds_max,
        idle=settings.relay_idle_seconds_max,
    )


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * _MS)))


def _whole(seconds: float) -> int:
    return max(1, round(seconds))
