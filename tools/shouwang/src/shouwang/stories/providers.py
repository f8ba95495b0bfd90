"""Acts as a provider of visits: one synthetic service centre per county."""

from __future__ import annotations

from common.codes import uscc

from shouwang.stories.people import COUNTIES
from shouwang.stories.platform import Json, Platform

FEED_PAGE = 500


def provider_code(county: str) -> str:
    """Return the unified social credit code of the county's synthetic centre, the same in every run."""
    return uscc.make(f"52{county}MJ0000001")


async def register_provider(platform: Platform, county: str) -> Json:
    """Register the county's centre with a Kafka subscription; returns it as soon as its own topic is ready."""
    code = provider_code(county)
    body = {
        "uscc": code,
        "name": f"{COUNTIES[county]}合成养老服务中心",
        "divisions": [county],
        "capacity_per_day": 10_000,
        "subscription": "kafka",
    }
    await platform.post("dispatch", "/v1/providers", body)

    async def ready() -> Json | None:
        found = await platform.get("dispatch", "/v1/providers", limit=500)
        for provider in found["providers"]:
            if provider["uscc"] == code and provider["topic_state"] == "ready":
                return dict(provider)
        return None

    return await platform.until("the provider's topic", ready)


async def feed_of(platform: Platform, code: str, after: int = 0) -> list[Json]:
    """Fetch the messages to the provider after the sequence number `after` by HTTP. Its topic has the same messages."""
    path = f"/v1/providers/{code}/feed"
    messages: list[Json] = []
    while True:
        params = {"after": after, "limit": FEED_PAGE}
        page = await platform.call("GET", "dispatch", path, role="provider", provider=code, params=params)
        messages += page["events"]
        if len(page["events"]) < FEED_PAGE:
            return messages
        after = page["next"]


async def answer(platform: Platform, task_id: str, code: str, action: str, **body: str) -> Json:
    """Answer a task as its provider: `accept`, `decline`, `check-in`, `check-out` or `fail`. Returns the task."""
    path = f"/v1/tasks/{task_id}/{action}"
    task: Json = await platform.call("POST", "dispatch", path, role="provider", provider=code, json=body)
    return task


async def accept(platform: Platform, task_id: str, code: str) -> Json:
    return await answer(platform, task_id, code, "accept")
