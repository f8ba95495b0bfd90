"""Registers synthetic providers: two per county, subscribed by Kafka."""

import httpx
from common.codes import uscc
from shouwang.runtime import processes
from shouwang.runtime.machine import Runtime

from benchmarks.people import DIVISIONS

PROVIDERS_PER_DIVISION = 2
PROVIDERS_MAX = 500
READY_SECONDS_MAX = 60


def register_providers(runtime: Runtime, admin_token: str) -> list[str]:
    """Register all providers and return their codes. Raises TimeoutError if their topics do not become ready."""
    codes = [uscc.make(f"52{division}BENCH{n:04d}") for division in DIVISIONS for n in range(PROVIDERS_PER_DIVISION)]
    headers = {"authorization": f"Bearer {admin_token}"}
    url = runtime.service_url("dispatch")
    with httpx.Client(base_url=url, headers=headers, timeout=READY_SECONDS_MAX, trust_env=False) as client:
        for code in codes:
            client.post("/v1/providers", json=_provider(code)).raise_for_status()
        ready = processes.wait_until(lambda: _are_ready(client, len(codes)), READY_SECONDS_MAX, every_seconds=0.2)
    if not ready:
        raise TimeoutError(f"the topics of the providers were not ready within {READY_SECONDS_MAX} s")
    return codes


def _provider(code: str) -> dict[str, object]:
    return {
        "uscc": code,
        "name": f"合成养老服务机构{code[-4:]}",
        "divisions": [code[2:8]],
        "capacity_per_day": 10_000,
        "subscription": "kafka",
    }


def _are_ready(client: httpx.Client, count: int) -> bool:
    return _topic_states(client) == ["ready"] * count


def _topic_states(client: httpx.Client) -> list[str]:
    answer = client.get("/v1/providers", params={"limit": PROVIDERS_MAX}).raise_for_status().json()
    return [provider["topic_state"] for provider in answer["providers"]]
