"""The pool when the server under it dies."""

import struct

import pytest
from shell.store.database import Database
from shell.store.failures import UNAVAILABLE

_FIELDS = (b"SFATAL", b"VFATAL", b"C57P01", b"Mterminating connection due to unexpected postmaster exit")
_TEXT = b"".join(field + b"\0" for field in _FIELDS) + b"\0"
LAST_WORD = b"E" + struct.pack("!i", len(_TEXT) + 4) + _TEXT


async def test_a_connection_that_has_just_heard_the_servers_last_word_is_away_and_no_bug(database: Database) -> None:
    """Between that word and the end of the socket lies a moment in which the pool still hands the connection out."""
    async with database.reading() as connection:
        protocol = connection._protocol
    protocol.data_received(LAST_WORD)
    with pytest.raises(UNAVAILABLE):
        async with database.transaction():
            pass
    protocol.connection_lost(None)
    async with database.transaction() as tx:
        assert await tx.sql.fetchval("SELECT 1") == 1


async def test_a_server_that_has_become_a_standby_is_away_and_no_bug(database: Database) -> None:
    """After a failover, a process may still be connected to the former primary. No record is parked for it."""
    async with database.transaction() as tx:
        await tx.sql.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(UNAVAILABLE):
            await tx.sql.execute("INSERT INTO job_marks (job, mark) VALUES ('a', 'b')")
