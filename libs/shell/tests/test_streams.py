"""A stream ends with its source, its reader, its token and its process."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from shell import clock
from shell.http import streams
from shell.http.streams import EventStream

APP = """
import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from shell.http.streams import EventStream, closing_of, set_on_signals

@asynccontextmanager
async def lifespan(app):
    app.state.closing = asyncio.Event()
    set_on_signals(app.state.closing)
    yield
    print("stopped in order", flush=True)

app = FastAPI(lifespan=lifespan)

async def endless() -> AsyncGenerator[bytes]:
    try:
        yield b"data: begun\\n\\n"
        await asyncio.Event().wait()
    finally:
        print("closed", flush=True)

@app.get("/")
async def stream(request: Request) -> EventStream:
    return EventStream(endless(), closing_of(request.app), None)
"""


class Reader:
    """The other end of a stream, on ASGI itself: httpx would wait for an end that never comes."""

    def __init__(self, *, reads: bool = True) -> None:
        self.parts: list[bytes] = []
        self.began = asyncio.Event()
        self.gone = asyncio.Event()
        self.is_complete = False
        self._reads = reads

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] != "http.response.body":
            return
        if message["body"]:
            self.began.set()
            if not self._reads:
                await asyncio.Event().wait()
            self.parts.append(message["body"])
        self.is_complete = not message.get("more_body", False)


class Source:
    """An endless source that says whether it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.is_closed = False
        self._error = error

    async def parts(self) -> AsyncGenerator[bytes]:
        try:
            yield b"data: 1\n\n"
            if self._error is not None:
                raise self._error
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


def start(
    source: Source, reader: Reader, closing: asyncio.Event | None = None, expires_at: float | None = None
) -> asyncio.Task[None]:
    stream = EventStream(source.parts(), closing or asyncio.Event(), expires_at)
    return asyncio.create_task(stream({}, reader.receive, reader.send))


async def test_a_stream_ends_when_the_process_is_to_stop() -> None:
    source, reader, closing = Source(), Reader(), asyncio.Event()
    running = start(source, reader, closing)
    await asyncio.wait_for(reader.began.wait(), 10)
    assert not running.done()
    closing.set()
    await asyncio.wait_for(running, 10)
    assert (source.is_closed, reader.is_complete, reader.parts) == (True, True, [b"data: 1\n\n"])


async def test_a_stream_that_begins_while_the_process_stops_ends_at_once() -> None:
    closing = asyncio.Event()
    closing.set()
    reader = Reader()
    await asyncio.wait_for(start(Source(), reader, closing), 10)
    assert reader.is_complete


async def test_a_stream_ends_with_its_token() -> None:
    source, reader = Source(), Reader()
    ends_at = clock.real_now().timestamp() + 0.3
    await asyncio.wait_for(start(source, reader, expires_at=ends_at), 10)
    assert clock.real_now().timestamp() >= ends_at - 0.01
    assert (source.is_closed, reader.is_complete) == (True, True)


async def test_the_source_is_closed_when_the_reader_is_gone() -> None:
    source, reader = Source(), Reader()
    running = start(source, reader)
    await asyncio.wait_for(reader.began.wait(), 10)
    reader.gone.set()
    await asyncio.wait_for(running, 10)
    assert source.is_closed


async def test_a_reader_that_is_too_slow_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS_MAX", 0.05)
    source, reader = Source(), Reader(reads=False)
    await asyncio.wait_for(start(source, reader), 10)
    assert (source.is_closed, reader.is_complete) == (True, False)


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError()])
async def test_a_stream_breaks_off_while_a_store_is_away(error: Exception) -> None:
    reader = Reader()
    await asyncio.wait_for(start(Source(error), reader), 10)
    assert not reader.is_complete


async def test_a_bug_in_the_source_is_not_hidden() -> None:
    with pytest.raises(LookupError):
        await asyncio.wait_for(start(Source(LookupError()), Reader()), 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_with_open_streams_stops_in_order_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "endless.py").write_text(APP)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.set_inheritable(True)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--fd",
        str(listening.fileno()),
        "--app-dir",
        str(tmp_path),
        "--no-access-log",
    ]
    server = await asyncio.create_subprocess_exec(
        *command, "endless:app", stdout=asyncio.subprocess.PIPE, pass_fds=[listening.fileno()]
    )
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client, client.stream("GET", url) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "data: begun"
            server.send_signal(number)
            rest = [line async for line in lines]  # ends without an error: the answer is complete
        output, _ = await asyncio.wait_for(server.communicate(), 20)
        assert [line for line in rest if line] == []
        assert output.decode().split("\n")[:2] == ["closed", "stopped in order"]
    finally:
        listening.close()
        if server.returncode is None:
            server.kill()
            await server.wait()
