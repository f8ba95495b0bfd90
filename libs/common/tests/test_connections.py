"""The limited protocol in a real uvicorn, where a small application answers with as much as the path says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from shouwang.processes import free_port

SECONDS_MAX = 30
APP = """
from prometheus_client import generate_latest

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    body = generate_latest() if scope["path"] == "/metrics" else b"x" * int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
LIMITS = {"SHOUWANG_HEADER_SECONDS_MAX": "1", "SHOUWANG_WRITE_SECONDS_MAX": "1"}
LARGE = 50_000_000


@contextmanager
def process(folder: Path) -> Iterator[int]:
    (folder / "sized_app.py").write_text(APP)
    port = free_port()
    env = {**os.environ, **LIMITS}
    options = ["--http", "common.connections:LimitedHttp", "--loop", "uvloop", "--lifespan", "off"]
    options += ["--app-dir", str(folder)]
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), *options, "sized_app:app"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield port
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    with process(tmp_path_factory.mktemp("sized")) as found:
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                try:
                    _, writer = await asyncio.open_connection("localhost", found)
                    break
                except ConnectionError:
                    await asyncio.sleep(0.05)
        writer.close()
        yield found


async def ended_by(port: int, limit: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://localhost:{port}/metrics")).text
    sample = f'shouwang_limited_total{{limit="{limit}"'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample))


def request(size: int, *, close: bool = False) -> bytes:
    return b"GET /%d HTTP/1.1\r\nhost: x\r\n%b\r\n" % (size, b"connection: close\r\n" if close else b"")


@pytest.mark.parametrize("further", [b"", request(1), b"GET /1 HTTP/1.1\r\nx-slow: "])
async def test_a_client_that_reads_nothing_is_ended_whatever_it_sends(port: int, further: bytes) -> None:
    before = await ended_by(port, "write_seconds")
    reader, writer = await asyncio.open_connection("localhost", port, limit=1)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            writer.write(request(LARGE))
            assert await reader.readexactly(12) == b"HTTP/1.1 200"  # from here on, most of the answer waits
            writer.write(further)
            while await ended_by(port, "write_seconds") == before:
                pass
        assert await ended_by(port, "write_seconds") == before + 1
    finally:
        writer.transport.abort()


async def test_a_client_that_leaves_the_end_of_a_closed_answer_unread_is_ended(port: int) -> None:
    before = await ended_by(port, "write_seconds")
    _, writer = await asyncio.open_connection("localhost", port, limit=1)
    try:
        writer.write(request(LARGE, close=True))
        async with asyncio.timeout(SECONDS_MAX):
            while await ended_by(port, "write_seconds") == before:
                pass
    finally:
        writer.transport.abort()


async def test_a_client_that_reads_slowly_gets_its_whole_answer(port: int) -> None:
    reader, writer = await asyncio.open_connection("localhost", port)
    try:
        writer.write(request(1_000_000) * 30)
        size = 0
        async with asyncio.timeout(SECONDS_MAX):
            while size < 30_000_000:
                size += len(await reader.read(65_536))
    finally:
        writer.close()


async def test_a_used_connection_may_pause_between_requests_but_not_within_a_header(port: int) -> None:
    before = await ended_by(port, "header_seconds")
    reader, writer = await asyncio.open_connection("localhost", port)
    try:
        for _ in range(3):
            writer.write(request(3))
            assert (await reader.readuntil(b"xxx")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(SECONDS_MAX):
            writer.write(request(3)[:9])
            assert (await reader.read()).startswith(b"HTTP/1.1 408")
        assert await ended_by(port, "header_seconds") == before + 1
    finally:
        writer.close()
