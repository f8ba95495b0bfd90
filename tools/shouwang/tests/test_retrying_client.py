"""A source that repeats its requests gives up in time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest
from shouwang.runtime.stores import Stores
from shouwang.trials.retrying_client import RetryingClient


async def test_a_source_gives_up_in_time_also_if_the_service_never_answers(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client hangs up
        writer.close()
        await writer.wait_closed()
        gone.set()

    stores = Stores(tmp_path)
    async with await asyncio.start_server(serve, "127.0.0.1", stores.ports.get("ingestion")):
        begun = monotonic()
        async with RetryingClient(stores, {"admin": "token"}, seconds=0.5) as client:
            with pytest.raises(TimeoutError, match=r"ingestion did not answer GET /livez within 0\.5 s"):
                await client.request("GET", "ingestion", "/livez")
        assert monotonic() - begun < 5
        await gone.wait()
