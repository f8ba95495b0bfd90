"""One run on one side: load the people, push single changes at a rate, then a burst, and read the costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import burst, home
from benchmarks.compare.platform import Cost, Platform
from benchmarks.compare.work import Work
from benchmarks.door import SINGLE, Door
from benchmarks.figures import percentile
from benchmarks.home import say
from benchmarks.latency import CONNECTIONS_PER_SOURCE, push_at_rate
from benchmarks.people import Pushed
from benchmarks.quiet import Watcher, until_quiet
from benchmarks.reading import Reader
from benchmarks.sightings import FirstSeen, causes_of, waits

RUN_SECONDS_MAX = 1_800
QUIET_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class Run:
    """`figures` by name, more is worse; `cpu_ms`: processor milliseconds per change, by part and process."""

    figures: Mapping[str, float]
    cpu_ms: Mapping[str, Mapping[str, float]]


async def measure(platform: Platform, work: Work, rate: int) -> Run:
    """All parts of one run. Raises TimeoutError when it takes longer than RUN_SECONDS_MAX."""
    async with asyncio.timeout(RUN_SECONDS_MAX):
        tokens = await _load(platform, work)
        singles = await _singles(platform, work, rate, tokens.sources, tokens.providers)
        bursts = await _burst(platform, work.burst, tokens.sources)
    figures = {f"singles.{name}": value for name, value in singles[0].items()}
    figures |= {f"burst.{name}": value for name, value in bursts[0].items()}
    return Run(figures, {"singles": singles[1], "burst": bursts[1]})


async def capacity(platform: Platform, work: Work, changes: Sequence[Pushed]) -> float:
    """Single changes a second that the whole chain does when each connection pushes the next as soon as it may."""
    async with asyncio.timeout(RUN_SECONDS_MAX):
        tokens = (await _load(platform, work)).sources
        async with _watched(platform) as watcher:
            began = time.monotonic()
            await _push_singly(platform, changes, tokens)
            quiet = await until_quiet(watcher, QUIET_SECONDS_MAX, say)
    return len(changes) / (quiet - began)


@dataclass(frozen=True, slots=True)
class _Loaded:
    sources: Mapping[str, str]
    providers: Sequence[str]


async def _load(platform: Platform, work: Work) -> _Loaded:
    """Register providers and load the people; the tokens by source, and the codes of the providers."""
    sources = work.sources
    asked = [asyncio.to_thread(platform.token, "--role", "source", "--source", source) for source in sources]
    admin, *tokens = await asyncio.gather(asyncio.to_thread(platform.token, "--role", "admin"), *asked)
    providers = await asyncio.to_thread(home.register_providers, platform.runtime, admin)
    by_source = dict(zip(sources, tokens, strict=True))
    await home.load(platform.runtime, work.load, by_source)
    await burst.until_explained(platform.runtime)
    return _Loaded(by_source, providers)


@asynccontextmanager
async def _watched(platform: Platform) -> AsyncIterator[Watcher]:
    watcher = Watcher(platform.runtime, home.stateful(platform.runtime))
    await watcher.open()
    try:
        yield watcher
    finally:
        await watcher.close()


async def _singles(
    platform: Platform, work: Work, rate: int, tokens: Mapping[str, str], providers: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    entitlements, offers = FirstSeen(), FirstSeen()

    def on_entitlement(record: Any, at: float) -> None:
        entitlements.note(causes_of(record.headers, record.value), at)

    def on_offer(record: Any, at: float) -> None:
        offers.note(causes_of(record.headers, None), at)

    kafka = platform.runtime.kafka_address
    async with (
        _watched(platform) as watcher,
        Reader(kafka, ["identification.entitlement"], on_entitlement),
        Reader(kafka, [f"dispatch.provider.{code}" for code in providers], on_offer),
    ):
        await push_at_rate(platform.runtime, work.warm_up, rate, tokens)
        await until_quiet(watcher, QUIET_SECONDS_MAX, say)
        before = platform.costs()
        sent, answered = await push_at_rate(platform.runtime, work.singles, rate, tokens)
        await until_quiet(watcher, QUIET_SECONDS_MAX, say)
        await burst.until_explained(platform.runtime)
        cost = per_change(before, platform.costs(), len(sent))
    return {
        "cpu_ms_per_change": sum(cost.values()),
        "door_p99_ms": _p99_ms(answered),
        "entitlement_p99_ms": _p99_ms(waits(sent, entitlements.at)),
        "provider_topic_p99_ms": _p99_ms(waits(sent, offers.at)),
    }, cost


async def _burst(
    platform: Platform, changes: Sequence[Pushed], tokens: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, float]]:
    async with _watched(platform) as watcher:
        before = platform.costs()
        pushed = asyncio.Event()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(until_quiet(watcher, QUIET_SECONDS_MAX, say, pushed))
            await burst.push(platform.runtime, changes, tokens, burst.Seen())
            pushed.set()
        seconds = waiting.result() - began
        await burst.until_explained(platform.runtime)
        cost = per_change(before, platform.costs(), len(changes))
    say(f"  burst: {len(changes) / seconds:,.0f} changes/s")
    return {"cpu_ms_per_change": sum(cost.values()), "wall_ms_per_change": seconds * 1000 / len(changes)}, cost


async def _push_singly(platform: Platform, changes: Sequence[Pushed], tokens: Mapping[str, str]) -> None:
    """Closed loop: CONNECTIONS_PER_SOURCE per source, each pushes the next change when the last is answered."""
    url = platform.runtime.service_url("ingestion")
    waiting = {source: iter([one for one in changes if one.source == source]) for source in tokens}

    async def push(source: str) -> None:
        async with Door(url, tokens[source]) as door:
            for change in waiting[source]:
                await door.push(change.body, SINGLE)

    async with asyncio.TaskGroup() as group:
        for source in waiting:
            for _ in range(CONNECTIONS_PER_SOURCE):
                group.create_task(push(source))


def per_change(before: Mapping[str, Cost], after: Mapping[str, Cost], changes: int) -> dict[str, float]:
    """Processor milliseconds per change, by process. A process that ended makes the run void: RuntimeError."""
    ended = sorted(name for name, cost in before.items() if name not in after or after[name].pid != cost.pid)
    if ended:
        raise RuntimeError(f"{', '.join(ended)} ended during the measurement")
    return {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / changes for name in before}


def _p99_ms(seconds: Sequence[float]) -> float:
    found = percentile(seconds, 99)
    if found is None:
        raise RuntimeError("no change had the effect whose latency is measured: use more people or a longer time")
    return found * 1000
