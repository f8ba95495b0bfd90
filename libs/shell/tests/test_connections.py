"""The limited protocol in a real uvicorn, where a small application answers with as much as the path says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from shell.access.auth import issue_token
from shouwang.runtime.processes import free_port

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
UNFINISHED_APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"500")]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
"""
GUARDED_APP = """
from shell.access.auth import AnyCaller
from shell.http.body_guard import Guard
from shell.http.answers import install_problems
from shell.access.route_marks import needs_no_credential
from shell.settings import settings
from fastapi import FastAPI, Request

app = FastAPI()
install_problems(app)

@app.post("/open")
@needs_no_credential
async def open_to_all(request: Request) -> int:
    return len(await request.body())

@app.post("/closed")
async def closed(caller: AnyCaller) -> None:
    pass

app.add_middleware(Guard, routes=app.routes, settings=settings())
"""
LIMITS = {"SHOUWANG_HEADER_SECONDS_MAX": "1", "SHOUWANG_WRITE_SECONDS_MAX": "1"}
LARGE = 50_000_000


@contextmanager
def process(folder: Path, app: str = APP, limits: Mapping[str, str] = LIMITS) -> Iterator[int]:
    (folder / "small_app.py").write_text(app)
    port = free_port()
    env = {**os.environ, **limits}
    options = ["--http", "shell.http.connections:LimitedHttp", "--loop", "uvloop", "--lifespan", "off"]
    options += ["--app-dir", str(folder)]
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), *options, "small_app:app"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield port
    finally:
        child.kill()
        child.wait()


async def until_it_listens(port: int) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                _, writer = await asyncio.open_connection("localhost", port)
                break
            except ConnectionError:
                await asyncio.sleep(0.05)
    writer.close()


@pytest.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    with process(tmp_path_factory.mktemp("sized")) as found:
        await until_it_listens(found)
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


async def test_the_answer_to_a_header_that_is_too_large_is_not_mixed_into_the_answer_before_it(tmp_path: Path) -> None:
    with process(tmp_path, UNFINISHED_APP, {"SHOUWANG_HEADER_BYTES_MAX": "1000"}) as port:
        await until_it_listens(port)
        reader, writer = await asyncio.open_connection("localhost", port)
        try:
            async with asyncio.timeout(SECONDS_MAX):
                writer.write(request(3))
                await reader.readuntil(b"begun")
                writer.write(b"GET /3 HTTP/1.1\r\nhost: x\r\nx-large: %b\r\n\r\n" % (b"y" * 2_000))
                rest = b""
                with suppress(ConnectionResetError):
                    rest = await reader.read()
                assert rest == b""
        finally:
            writer.close()


ROOM_FOR_THREE = {
    "SHOUWANG_CONNECTIONS_MAX": "3",
    "SHOUWANG_OPEN_BODY_SECONDS_MAX": "600",
    "SHOUWANG_DISCARD_SECONDS_MAX": "600",
}


@pytest.mark.parametrize(
    ("begun", "seen"),
    [
        (b"POST /open HTTP/1.1\r\nexpect: 100-continue\r\n", b"HTTP/1.1 100"),  # the body is being read
        (b"POST /closed HTTP/1.1\r\n", b"HTTP/1.1 401"),  # the rest is discarded
        (b"POST /unknown HTTP/1.1\r\n", b"HTTP/1.1 404"),
    ],
)
async def test_slow_bodies_without_a_credential_make_room_for_another_connection(
    tmp_path: Path, begun: bytes, seen: bytes
) -> None:
    with process(tmp_path, GUARDED_APP, ROOM_FOR_THREE) as port:
        await until_it_listens(port)
        slow = []
        try:
            async with asyncio.timeout(SECONDS_MAX):
                for _ in range(3):
                    reader, writer = await asyncio.open_connection("localhost", port)
                    slow.append(writer)
                    writer.write(begun + b"host: x\r\ncontent-length: 50\r\n\r\n")
                    assert await reader.readexactly(12) == seen
                reader, writer = await asyncio.open_connection("localhost", port)
                slow.append(writer)
                writer.write(b"POST /open HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok")
                assert await reader.readexactly(12) == b"HTTP/1.1 200"
        finally:
            for writer in slow:
                writer.transport.abort()


async def test_a_slow_body_with_a_credential_keeps_its_connection(tmp_path: Path) -> None:
    with process(tmp_path, GUARDED_APP, ROOM_FOR_THREE) as port:
        await until_it_listens(port)
        token = issue_token("officer", division="530302").encode()
        begun = b"POST /closed HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
        slow = []
        try:
            async with asyncio.timeout(SECONDS_MAX):
                for _ in range(3):
                    reader, writer = await asyncio.open_connection("localhost", port)
                    slow.append((reader, writer))
                    writer.write(begun + b"authorization: Bearer " + token + b"\r\n\r\n")
                    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                reader, further = await asyncio.open_connection("localhost", port)
                assert (await reader.read()).startswith(b"HTTP/1.1 503")
                further.close()
                for reader, writer in slow:
                    writer.write(b"{}")
                    assert await reader.readexactly(12) == b"HTTP/1.1 200"
        finally:
            for _, writer in slow:
                writer.transport.abort()
