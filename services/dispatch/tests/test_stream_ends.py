"""The stream of a provider, in the real service: it ends with its token and with its process."""

import asyncio
import os
import signal
import socket
import sys
from time import monotonic

import httpx
import pytest
from shell import clock
from shell.access.auth import issue_token, read_token

STOP_SECONDS_MAX = 15


@pytest.fixture
async def server(database, tmp_path, closed_port):
    """Dispatch as a process on the database of the test; Kafka is away. Yields the process and its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.set_inheritable(True)
    # httptools and uvloop, as in production
    options = ["--fd", str(listening.fileno()), "--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "uvicorn", *options, "dispatch.main:app"],
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "SHOUWANG_DATABASE_URL_DISPATCH": database.url,
                "SHOUWANG_KAFKA": f"127.0.0.1:{closed_port}",
            },
        )
    yield process, f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    if process.returncode is None:
        process.kill()
        await process.wait()


def lines_of(url, story, token):
    client = httpx.AsyncClient(timeout=60, trust_env=False)
    path = f"{url}/v1/providers/{story.A}/stream"
    return client, client.stream("GET", path, headers={"Authorization": f"Bearer {token}"})


async def test_dispatch_with_an_open_stream_stops_in_order_on_sigterm(driver, add_provider, server, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    process, url = server
    client, opened = lines_of(url, story, issue_token("provider", provider=story.A))
    async with client, opened as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 1"
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        async for _ in lines:  # ends without an error: the answer is complete
            pass
    await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
    assert monotonic() - began < STOP_SECONDS_MAX


async def test_the_stream_of_a_provider_ends_with_its_token(add_provider, server, story):
    await add_provider(story.A, story.COUNTY)
    process, url = server
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        assert (await client.get(f"{url}/healthz")).status_code == 200  # it runs
    token = issue_token("provider", provider=story.A, hours=3 / 3600)
    client, opened = lines_of(url, story, token)
    async with client, opened as answer:
        assert answer.status_code == 200
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert [line async for line in answer.aiter_lines() if line] == []
    assert clock.real_now().timestamp() >= read_token(token).expires_at
    assert process.returncode is None
