"""Those who visit: a synthetic service centre per county."""

from __future__ import annotations

from common.codes import uscc

from shouwang.stories.people import COUNTIES
from shouwang.stories.platform import Json, Platform


def provider_code(county: str) -> str:
    """The credit code of the county's synthetic centre, the same in every run."""
    return uscc.make(f"52{county}MJ0000001")


async def register_provider(platform: Platform, county: str) -> Json:
    """Registered by an officer, subscribing by Kafka; returns once its own topic is in use."""
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
        return next((p for p in found["providers"] if p["uscc"] == code and p["topic_state"] == "ready"), None)

    return await platform.until("the provider's topic", ready)


async def feed_of(platform: Platform, code: str, after: int = 0) -> list[Json]:
    """What the provider was told, by plain HTTP; the same messages lie on its topic."""
    told: list[Json] = []
    while True:
        path = f"/v1/providers/{code}/feed"
        page = await platform.call(
            "GET", "dispatch", path, role="provider", provider=code, params={"after": after, "limit": 500}
        )
        told += page["events"]
        if len(page["events"]) < 500:
            return told
        after = page["next"]


async def answer(platform: Platform, task_id: str, code: str, what: str, **body: str) -> Json:
    """`accept`, `decline`, `check-in`, `check-out` or `fail` over HTTP, as the provider."""
    path = f"/v1/tasks/{task_id}/{what}"
    task: Json = await platform.call("POST", "dispatch", path, role="provider", provider=code, json=body)
    return task


async def accept(platform: Platform, task_id: str, code: str) -> Json:
    return await answer(platform, task_id, code, "accept")
