"""The broker is killed thirty times while twenty changes per second arrive, and every reader recovers.

Every consumer and the console's screen must move again after each kill. In the end nothing is lost and all stores and
topics agree. `SHOUWANG_KILLS` and `SHOUWANG_FAULTS_SEED` give another run. It takes about fifteen minutes.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import httpx
import pytest
import synth
from common.calendar import SHANGHAI
from shell.settings import settings
from shouwang import console_session
from shouwang.commands.verify import check_all
from shouwang.runtime import clock
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.trials.delivery import Delivery
from shouwang.trials.observer import Observer
from shouwang.trials.retrying_client import RetryingClient, tokens

SEED = int(os.environ.get("SHOUWANG_FAULTS_SEED", "20261130"))
KILLS = int(os.environ.get("SHOUWANG_KILLS", "30"))
COUNTIES = ["530302", "530303", "530381"]
LOADED_ON = date(2025, 5, 1)
NOW = datetime.fromisoformat("2026-11-22T10:00:00+08:00")
PEOPLE, MONTHS = 3_000, 18
RATES = replace(synth.Rates().times(20), deaths_times=2)
CHANGES_PER_SECOND, BY_TOPIC = 20, 0.2
BETWEEN_SECONDS = (2.0, 8.0)  # from the recovery of all readers to the next kill
MOVED_SECONDS_MAX = 90.0
QUIET_SECONDS = 300
START_SECONDS_MAX = 240  # a rehearsal may share its machine
# Like pods of a cluster: without a fixed name in their group.
ENV = {"SHOUWANG_PAY_FROM_MONTH": f"{LOADED_ON:%Y-%m}", "SHOUWANG_MEMBER": ""}
Event = dict[str, Any]


class Source:
    """Sends twenty changes per second by HTTP and by Kafka, and repeats unacknowledged ones."""

    def __init__(self, delivery: Delivery, events: Sequence[Event]) -> None:
        self._delivery = delivery
        self._events = iter(events)
        self._rng = Random(f"doors/{SEED}")
        self.sent: dict[tuple[str, str], Event] = {}
        self.ran_dry = False
        self.stopped = False

    async def load(self, events: Sequence[Event]) -> None:
        """Send the first load as fast as possible."""
        rest = iter(events)
        while part := list(islice(rest, 500)):
            await self._delivery.over_http(part)
            self._note(part)

    async def run(self) -> None:
        """Send until `stopped`. It stops between two seconds, so that every noted event is acknowledged."""
        due = monotonic()
        while not self.stopped and (part := list(islice(self._events, CHANGES_PER_SECOND))):
            self._note(part)
            if self._rng.random() < BY_TOPIC:
                await self._delivery.over_topic(part)
            else:
                await self._delivery.over_http(part)
            due = max(due + 1, monotonic() - 5)  # changes delayed by a kill are made up for, up to five seconds
            await asyncio.sleep(max(0.0, due - monotonic()))
        self.ran_dry = not self.stopped

    def _note(self, part: Sequence[Event]) -> None:
        self.sent.update({(event["source"], event["id"]): event for event in part})


class Screen:
    """The live page of an officer. `steps` counts the received steps."""

    def __init__(self, runtime: Runtime, token: str) -> None:
        self._url = runtime.service_url("console")
        self._token = token
        self.steps = 0

    async def run(self) -> None:
        """Read until cancelled. An ended stream is opened again, as a browser does."""
        async with httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False) as client:
            answer = await console_session.sign_in(client, self._token)
            assert answer.status_code == 303, answer.text
            while True:
                with suppress(httpx.TransportError):
                    async with client.stream("GET", "/api/stream") as stream:
                        async for line in stream.aiter_lines():
                            if line.startswith("data: "):
                                self.steps += len(json.loads(line.removeprefix("data: "))["steps"])
                await asyncio.sleep(1)


class Rehearsal:
    """The running platform, its source and its officer, and the figures of each kill."""

    def __init__(self, runtime: Runtime, observer: Observer, screen: Screen, source: Source, progress: Any) -> None:
        self.runtime, self.observer, self.screen, self.source = runtime, observer, screen, source
        self._progress: Callable[[str], None] = progress
        self._rng = Random(f"kills/{SEED}")
        self.slowest: list[float] = []

    async def go(self) -> None:
        async with asyncio.TaskGroup() as together:
            watching = together.create_task(self.screen.run())
            together.create_task(self.source.run())
            for number in range(1, KILLS + 1):
                await asyncio.sleep(self._rng.uniform(*BETWEEN_SECONDS))
                await self._kill(number)
                assert not self.source.ran_dry, "there were not enough changes"
            self.source.stopped = True
            watching.cancel()

    async def _kill(self, number: int) -> None:
        await asyncio.to_thread(self.runtime.kill, "kafka")
        began = monotonic()
        await asyncio.to_thread(self.runtime.start_kafka)
        back = monotonic()
        moved = await self._until_all_move(back)
        self.slowest.append(max(moved.values()))
        figures = ", ".join(f"{name} {seconds:.1f}" for name, seconds in sorted(moved.items()))
        self._progress(f"kill {number:2}: broker away {back - began:.1f} s; seconds until each moved again: {figures}")

    async def _until_all_move(self, since: float) -> dict[str, float]:
        """Seconds from `since` until each consumer committed a record and the page showed a step."""
        before, steps = await self._positions(), self.screen.steps
        moved: dict[str, float] = {}
        while len(moved) <= len(STORED):
            if monotonic() - since > MOVED_SECONDS_MAX:
                behind = sorted({*STORED, "console"} - moved.keys())
                raise TimeoutError(f"{behind} did not move within {MOVED_SECONDS_MAX:.0f} s; {self._reasons(behind)}")
            await asyncio.sleep(0.1)
            now = await self._positions()
            for name in STORED:
                if now[name] > before[name]:
                    moved.setdefault(name, monotonic() - since)
            if self.screen.steps > steps:
                moved.setdefault("console", monotonic() - since)
        return moved

    async def _positions(self) -> dict[str, int]:
        """The number of records that each service has committed."""
        statement = "SELECT coalesce(sum(next_offset), 0)::bigint AS settled FROM consumer_offsets"
        rows = await asyncio.gather(*(self.observer.rows(name, statement) for name in STORED))
        return {name: found[0]["settled"] for name, found in zip(STORED, rows, strict=True)}

    def _reasons(self, names: Sequence[str]) -> dict[str, str]:
        return {name: httpx.get(f"{self.runtime.service_url(name)}/readyz", timeout=5).text for name in names}


def _started(home: Path, stack: ExitStack) -> Runtime:
    runtime = Runtime(home, ports="free")
    stack.callback(runtime.stop_all)
    clock.set_business_time(home, NOW, force=True)
    runtime.start_stores(with_tables=True)
    runtime.create_topics()
    for name in (*STORED, "console"):
        runtime.start_service(name, env=ENV)
    for name in (*STORED, "console"):
        runtime.wait_ready(name, seconds=START_SECONDS_MAX)
    return runtime


@pytest.fixture
def progress(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print progress in spite of output capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{datetime.now(SHANGHAI):%H:%M:%S} {text}", end="", flush=True)

    return line


@pytest.fixture
async def rehearsal(progress: Callable[[str], None]) -> AsyncIterator[Rehearsal]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-thirty-kills-")))
        runtime = await asyncio.to_thread(_started, home, stack)
        issued = tokens(runtime, ["admin", "officer@530300"])
        county = synth.county(SEED, PEOPLE, COUNTIES, LOADED_ON)
        changes = [push.event for push in synth.stream(county, MONTHS, SEED, rates=RATES)]
        async with RetryingClient(runtime, issued) as client, Observer(runtime, STORED) as observer:
            delivery = Delivery(runtime, client)
            source = Source(delivery, changes)
            began = monotonic()
            await source.load(list(county.initial_load()))
            await observer.until_quiet(QUIET_SECONDS)
            progress(f"{len(source.sent):,} events of the first load after {monotonic() - began:.0f} s")
            yield Rehearsal(runtime, observer, Screen(runtime, issued["officer"]), source, progress)
            await delivery.close()


async def test_every_reader_recovers_when_the_broker_is_killed_thirty_times(
    rehearsal: Rehearsal, progress: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, observer = rehearsal.runtime, rehearsal.observer
    before = {name: runtime.pid(name) for name in (*STORED, "console")}
    began = monotonic()
    await rehearsal.go()
    progress(f"{KILLS} kills in {monotonic() - began:.0f} s, {len(rehearsal.source.sent):,} events sent")

    began = monotonic()
    await observer.until_quiet(QUIET_SECONDS)
    progress(f"every reader at the end of its topics after {monotonic() - began:.1f} s")
    slowest = sorted(rehearsal.slowest)
    progress(f"slowest reader per kill: median {slowest[len(slowest) // 2]:.1f} s, longest {slowest[-1]:.1f} s")
    progress(f"replaced clients: {await _replaced(runtime) or 'none'}")
    ended = [name for name, pid in before.items() if runtime.pid(name) != pid]
    progress(f"processes that ended: {ended or 'none'}")
    for name in (*STORED, "console"):
        await asyncio.to_thread(runtime.wait_ready, name, seconds=START_SECONDS_MAX)

    rows = await observer.rows("ingestion", "SELECT status, count(*) FROM received GROUP BY status")
    places = {row["status"]: row["count"] for row in rows}
    progress(f"where the events are: {places}")
    assert sum(places.values()) == len(rehearsal.source.sent)
    assert set(places) <= {"applied", "quarantined"}  # the stream ends before some predecessors arrive
    monkeypatch.setenv("SHOUWANG_HOME", str(runtime.home))  # the check changes it; the test restores it
    report = await check_all(runtime, wait_seconds=QUIET_SECONDS)
    settings.cache_clear()
    progress(f"verify: {'clean' if report.ok else report.text()}")
    assert report.ok, report.text()
    assert not ended


async def _replaced(runtime: Runtime) -> dict[str, str]:
    """The non-zero lines of the replacement counters, by service."""
    found: dict[str, str] = {}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        for name in (*STORED, "console"):
            text = (await client.get(f"{runtime.service_url(name)}/metrics")).text
            lines = [line for line in text.splitlines() if line.startswith("shouwang_replaced_total")]
            if counted := [line for line in lines if not line.endswith(" 0.0")]:
                found[name] = "; ".join(counted)
    return found
