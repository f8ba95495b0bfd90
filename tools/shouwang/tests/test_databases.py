"""A database that cannot be opened is reported in one sentence, without a traceback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from shouwang.runtime.databases import open_database
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

STARTING = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"


async def starting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer like a PostgreSQL that still reads its log: without TLS, and with the error 57P03."""
    await reader.readexactly(8)  # the request for TLS
    writer.write(b"N")
    size = int.from_bytes(await reader.readexactly(4), "big")
    await reader.readexactly(size - 4)
    writer.write(b"E" + (len(STARTING) + 4).to_bytes(4, "big") + STARTING)
    await writer.drain()
    writer.close()


async def test_a_database_that_is_starting_does_not_answer_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await asyncio.start_server(starting, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("SHOUWANG_DATABASE_URL_SUBSIDY", f"postgresql://reader@127.0.0.1:{port}/subsidy")
    async with server:
        with pytest.raises(LocalProblem, match="The database of subsidy does not answer"):
            async with open_database(Runtime(tmp_path), "subsidy"):
                pass
