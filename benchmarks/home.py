"""A fresh platform for one measurement: its own folder, its own ports, thrown away afterwards."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
from common.codes import uscc
from shouwang.runtime import processes
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import REPOSITORY

from benchmarks.door import BATCH, Door
from benchmarks.people import DIVISIONS, Pushed, batches, joined
from benchmarks.quiet import Watcher, until_quiet

HOMES = REPOSITORY / ".shouwang" / "bench"
LOAD_BATCH = 1_000
READY_SECONDS_MAX = 60
QUIET_SECONDS_MAX = 1_800
PROVIDERS_PER_DIVISION = 2


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)


@contextmanager
def fresh_home(name: str) -> Iterator[Path]:
    """An empty folder that this process, and what it imports, takes for its home. Its logs stay afterwards."""
    home = HOMES / name
    _throw_away(home)
    before = os.environ.get("SHOUWANG_HOME")
    os.environ["SHOUWANG_HOME"] = str(home)
    try:
        yield home
    finally:
        if before is None:
            del os.environ["SHOUWANG_HOME"]
        else:
            os.environ["SHOUWANG_HOME"] = before


def _throw_away(home: Path) -> None:
    if home.exists():
        Runtime(home, ports="free").stop_all()  # left by a run that was killed
        shutil.rmtree(home)


@contextmanager
def stores(home: Path) -> Iterator[Runtime]:
    """Kafka and PostgreSQL with topics and tables, no service. At the end all is stopped and the data removed."""
    runtime = Runtime(home, ports="free")
    runtime.mark_demo()  # all lists are in force and all amounts are paid, so that every part has its work
    try:
        runtime.start_stores()
        runtime.migrate()
        runtime.create_topics()
        yield runtime
    finally:
        runtime.stop_all()
        for folder in ("kafka", "postgres"):
            shutil.rmtree(home / folder, ignore_errors=True)


@contextmanager
def platform(home: Path, env: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Runtime]:
    """Stores and every service, ready. `env` adds to the environment of a service."""
    started = time.monotonic()
    with stores(home) as runtime:
        names = [process.name for process in runtime.processes if find_spec(f"{process.name}.main")]
        for name in names:
            runtime.start_service(name, env=(env or {}).get(name))
        for name in names:
            runtime.wait_ready(name)
        say(f"  {len(names)} services ready after {time.monotonic() - started:.0f} s")
        yield runtime


def stateful(runtime: Runtime) -> list[str]:
    """The running services that have a store."""
    running = runtime.running()
    return [process.name for process in runtime.processes if process.database and process.name in running]


def register_providers(runtime: Runtime, admin_token: str) -> list[str]:
    """Register some in every county, subscribed by Kafka; return their codes once their topics take messages."""
    codes = [uscc.make(f"52{division}BENCH{n:04d}") for division in DIVISIONS for n in range(PROVIDERS_PER_DIVISION)]
    headers = {"authorization": f"Bearer {admin_token}"}
    url = runtime.service_url("dispatch")
    with httpx.Client(base_url=url, headers=headers, timeout=READY_SECONDS_MAX, trust_env=False) as client:
        for code in codes:
            body = {
                "uscc": code,
                "name": f"合成养老服务机构{code[-4:]}",
                "divisions": [code[2:8]],
                "capacity_per_day": 10_000,
                "subscription": "kafka",
            }
            client.post("/v1/providers", json=body).raise_for_status()

        def all_ready() -> bool:
            found = client.get("/v1/providers", params={"limit": 500}).raise_for_status().json()["providers"]
            return len(found) == len(codes) and all(provider["topic_state"] == "ready" for provider in found)

        if not processes.wait_until(all_ready, READY_SECONDS_MAX, every_seconds=0.2):
            raise TimeoutError("the providers' topics were not made")
    return codes


def admin_token() -> str:
    """A token of this home for an administrator."""
    from shell.access.auth import issue_token  # reads the home when it is imported

    return issue_token("admin")


def tokens(pushed: Sequence[Pushed]) -> dict[str, str]:
    """A token of this home for every source that pushes."""
    from shell.access.auth import issue_token

    return {source: issue_token("source", source=source) for source in {one.source for one in pushed}}


async def push_all(
    runtime: Runtime, pushed: Sequence[Pushed], tokens: Mapping[str, str], size: int = LOAD_BATCH
) -> list[bytes]:
    """Push as fast as the door answers: one connection per source, batches of `size`, each source in its order.

    `tokens`: by source.
    """
    url = runtime.service_url("ingestion")

    async def push(source: str, parts: Sequence[Sequence[Pushed]]) -> list[bytes]:
        async with Door(url, tokens[source]) as door:
            return [await door.push(joined(part), BATCH) for part in parts]

    answers = await asyncio.gather(*(push(source, parts) for source, parts in batches(pushed, size).items()))
    return [answer for part in answers for answer in part]


async def load(runtime: Runtime, pushed: Sequence[Pushed], tokens: Mapping[str, str]) -> dict[str, float]:
    """Load everybody and wait until the last store is quiet. `tokens`: by source."""
    watcher = Watcher(runtime, stateful(runtime))
    await watcher.open()
    try:
        began = time.monotonic()
        answers = await push_all(runtime, pushed, tokens)
        at_door = time.monotonic()
        say(f"  {len(pushed):,} events through the door after {at_door - began:.0f} s")
        quiet = await until_quiet(watcher, QUIET_SECONDS_MAX, say)
    finally:
        await watcher.close()
    _require_accepted(answers)
    seconds = quiet - began
    say(f"  loaded and quiet after {seconds:.0f} s")
    return {
        "events": len(pushed),
        "seconds": round(seconds, 1),
        "events_per_s": round(len(pushed) / seconds),
        "door_events_per_s": round(len(pushed) / (at_door - began)),
    }


def _require_accepted(answers: Sequence[bytes]) -> None:
    """A figure of refused events would be worthless."""
    import msgspec

    for answer in answers:
        told = msgspec.json.decode(answer)
        if told["accepted"] != told["received"]:
            wrong = next(result for result in told["results"] if result["status"] != "accepted")
            raise RuntimeError(
                f"of {told['received']} events {told['accepted']} were accepted; the first other: {wrong}"
            )
