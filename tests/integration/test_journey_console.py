"""The screen of a duty officer during a change."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from shouwang import console_session
from shouwang.stories import people
from shouwang.stories.people import CITY
from shouwang.stories.platform import Platform

DEADLINE_SECONDS = 30


@pytest.fixture
async def screen(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with the session of an officer of Qujing."""
    async with httpx.AsyncClient(base_url=platform.urls["console"], timeout=30, trust_env=False) as client:
        signed_in = await console_session.sign_in(client, platform.token("officer", division=CITY))
        assert signed_in.status_code == 303
        yield client


async def test_a_user_without_a_session_is_sent_to_the_sign_in_page(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.urls["console"], timeout=30, trust_env=False) as client:
        answer = await client.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.url.path == "/login"
    assert "守望" in answer.text


async def test_the_page_of_the_chain_answers(screen: httpx.AsyncClient) -> None:
    page = await screen.get("/")
    assert page.status_code == 200
    assert "曲靖市" in page.text


async def test_a_pushed_change_appears_step_by_step_on_the_screen(
    platform: Platform, screen: httpx.AsyncClient
) -> None:
    elder, now = platform.cast.aged(81, platform.today()), platform.now()
    async with asyncio.timeout(DEADLINE_SECONDS), screen.stream("GET", "/api/stream") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        *_, event_id = await platform.push(*people.register_entries(elder, now))
        person_id = await platform.find(elder)
        seen: set[str] = set()
        while not {"PersonFactsRecorded", "EntitlementsDecided", "DuesDetermined"} <= seen:
            line = await anext(lines)
            if line.startswith("data: "):
                steps = json.loads(line.removeprefix("data: "))["steps"]
                seen |= {step["what"] for step in steps if step["person_id"] == person_id}

    async def traced() -> bool | None:
        """From supervision, which may read the topics a moment after the console."""
        trace = await screen.get(f"/api/trace/{event_id}")
        steps = trace.json()["steps"] if trace.status_code == 200 else []
        return {"PersonFactsRecorded", "EntitlementsDecided"} <= {step["what"] for step in steps} or None

    await platform.until("both steps in the trace", traced)
    held = await screen.get(f"/api/persons/{person_id}/entitlements")
    assert "高龄津贴" in held.text
