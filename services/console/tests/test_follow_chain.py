"""The stream of the live page: its messages and its ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from console.follow_chain import STREAMS_MAX, chain_stream
from console.reader import Reader
from shell.access.auth import issue_token
from shell.http import streams


class Screen:
    """The client of one stream, directly on ASGI: httpx waits for the end of an answer."""

    def __init__(self, reader: Reader, token: str, *, reads: bool = True) -> None:
        self.ticks: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.ended = False
        self._left = asyncio.Event()
        self._reads = reads
        self.task = asyncio.create_task(chain_stream(reader, token)({}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        body = message.get("body", b"")
        if body and not self._reads:
            await asyncio.Event().wait()
        if body.startswith(b"data: "):
            self.ticks.put_nowait(json.loads(body[6:]))
        self.ended = self.ended or body.startswith(b"event: ended")

    async def tick(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.ticks.get(), 10)

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
async def officer(reader: Reader) -> AsyncIterator[Screen]:
    screen = Screen(reader, issue_token("officer", division="530302"))
    yield screen
    screen.task.cancel()
    await asyncio.gather(screen.task, return_exceptions=True)


async def test_a_screen_gets_the_present_steps_and_then_the_new_ones(
    officer: Screen, reader: Reader, make: Any
) -> None:
    first = await officer.tick()
    assert [s["id"] for s in first["stations"]] == ["intake", "decide", "assess", "dispatch", "pay", "supervise"]
    assert (first["steps"], first["deaths"]) == ([], 0)
    person = make.id()
    reader.chain.add([make.step(make.decided(person, changed=("longevity_allowance",)), division="530302")])
    reader.chain.add([make.step(make.decided(make.id()), division="140702")])
    seen: list[Any] = []
    while not seen:
        seen = (await officer.tick())["steps"]
    assert [(s["person_id"], s["text"]) for s in seen] == [(person, "资格认定：高龄津贴")]
    assert (await officer.tick())["steps"] == []


async def test_messages_are_read_only_while_a_screen_is_open(officer: Screen, reader: Reader) -> None:
    await officer.tick()
    assert (reader.watchers, reader.watched.is_set()) == (1, True)
    await officer.leave()
    assert reader.watchers == 0


async def test_a_reader_that_is_too_slow_is_dropped(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS_MAX", 0.05)
    screen = Screen(reader, issue_token("auditor", division="000000"), reads=False)
    await asyncio.wait_for(screen.task, 10)
    assert reader.watchers == 0


async def test_a_stream_ends_with_its_token(reader: Reader) -> None:
    screen = Screen(reader, issue_token("officer", division="530302", hours=-1))
    await asyncio.wait_for(screen.task, 10)
    assert screen.ended
    assert screen.ticks.empty()


async def test_streams_end_when_the_process_is_to_stop(officer: Screen, reader: Reader) -> None:
    await officer.tick()
    reader.closing.set()
    await asyncio.wait_for(officer.task, 10)


async def test_one_screen_too_many_gets_429_with_retry_after(browser: Any, reader: Reader) -> None:
    reader.watchers = STREAMS_MAX
    answer = await browser("auditor").get("/api/stream")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
