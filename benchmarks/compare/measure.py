"""Measures one run on one side: load the people, push single changes at a fixed rate, then a burst; read the costs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shouwang.runtime.kafka_acls import OPERATOR

from benchmarks.compare.platform import Cost, Platform
from benchmarks.compare.work import Work
from benchmarks.figures import percentile
from benchmarks.home import Tokens, progress
from benchmarks.latency import Effects
from benchmarks.load import load
from benchmarks.people import Events
from benchmarks.providers import register_providers
from benchmarks.push import SinglePushes, push_at_rate, push_batches, push_closed_loop
from benchmarks.quiet import time_until_quiet, wait_until_explained, wait_until_quiet, watching

RUN_SECONDS_MAX = 1_800
QUIET_SECONDS_MAX = 600
Costs = Mapping[str, Cost]  # by process


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run. `figures`: by name, where a higher value is worse.

    `cpu_ms`: milliseconds of processor time per change, by part (`singles`, `burst`) and process."""

    figures: Mapping[str, float]
    cpu_ms: Mapping[str, Mapping[str, float]]


class _Part(NamedTuple):
    """The result of one part of a run. `figures` by name. `cpu_ms`: processor milliseconds per change, by process."""

    figures: dict[str, float]
    cpu_ms: dict[str, float]


class _Loaded(NamedTuple):
    """A loaded platform. `tokens` by source; `providers`: their codes."""

    tokens: Tokens
    providers: Sequence[str]


async def measure(platform: Platform, work: Work, rate: int) -> Run:
    """Do one run and return its figures. Raises TimeoutError if it takes longer than RUN_SECONDS_MAX.

    Raises RuntimeError if a process ended, an event was not accepted or no change had an effect. An ExceptionGroup has
    the errors of a push.
    """
    async with asyncio.timeout(RUN_SECONDS_MAX):
        loaded = await _load(platform, work)
        parts = {
            "singles": await _measure_singles(platform, work, rate, loaded),
            "burst": await _measure_burst(platform, work.burst, loaded.tokens),
        }
    figures = {f"{name}.{figure}": value for name, part in parts.items() for figure, value in part.figures.items()}
    return Run(figures, {name: part.cpu_ms for name, part in parts.items()})


async def capacity(platform: Platform, work: Work, changes: Events) -> float:
    """Measure how many single changes per second all services process, if each connection pushes without a pause."""
    async with asyncio.timeout(RUN_SECONDS_MAX):
        loaded = await _load(platform, work)
        push = push_closed_loop(platform.intake_url, changes, loaded.tokens)
        async with watching(platform.runtime) as watcher:
            timed = await time_until_quiet(watcher, push, QUIET_SECONDS_MAX)
    return len(changes) / timed.quiet_seconds


async def _load(platform: Platform, work: Work) -> _Loaded:
    """Register the providers and load the people."""
    calls = [asyncio.to_thread(platform.token, "--role", "source", "--source", source) for source in work.sources]
    admin, *tokens = await asyncio.gather(asyncio.to_thread(platform.token, "--role", "admin"), *calls)
    by_source = dict(zip(work.sources, tokens, strict=True))
    providers = await asyncio.to_thread(register_providers, platform.runtime, admin)
    await load(platform.runtime, work.load, by_source)
    await wait_until_explained(platform.runtime)
    return _Loaded(by_source, providers)


async def _measure_singles(platform: Platform, work: Work, rate: int, loaded: _Loaded) -> _Part:
    effects, kafka = Effects(), platform.runtime.kafka_settings(OPERATOR)
    async with (
        watching(platform.runtime) as watcher,
        effects.entitlement_reader(kafka),
        effects.offer_reader(kafka, loaded.providers),
    ):
        await push_at_rate(platform.intake_url, work.warm_up, rate, loaded.tokens)
        await wait_until_quiet(watcher, QUIET_SECONDS_MAX)
        before = platform.costs()
        pushes = await push_at_rate(platform.intake_url, work.singles, rate, loaded.tokens)
        await wait_until_quiet(watcher, QUIET_SECONDS_MAX)
        await wait_until_explained(platform.runtime)
        cpu_ms = per_change(before, platform.costs(), len(pushes.sent))
    return _Part({"cpu_ms_per_change": sum(cpu_ms.values()), **_latency_figures(pushes, effects)}, cpu_ms)


def _latency_figures(pushes: SinglePushes, effects: Effects) -> dict[str, float]:
    return {
        "door_p99_ms": _p99_ms(pushes.answer_seconds),
        "entitlement_p99_ms": _p99_ms(effects.entitlements.latencies(pushes.sent)),
        "provider_topic_p99_ms": _p99_ms(effects.offers.latencies(pushes.sent)),
    }


async def _measure_burst(platform: Platform, changes: Events, tokens: Tokens) -> _Part:
    async with watching(platform.runtime) as watcher:
        before = platform.costs()
        timed = await time_until_quiet(watcher, push_batches(platform.intake_url, changes, tokens), QUIET_SECONDS_MAX)
        await wait_until_explained(platform.runtime)
        cpu_ms = per_change(before, platform.costs(), len(changes))
    progress(f"  burst: {len(changes) / timed.quiet_seconds:,.0f} changes/s")
    wall_ms = timed.quiet_seconds * 1000 / len(changes)
    return _Part({"cpu_ms_per_change": sum(cpu_ms.values()), "wall_ms_per_change": wall_ms}, cpu_ms)


def per_change(before: Costs, after: Costs, changes: int) -> dict[str, float]:
    """Processor milliseconds per change, by process. Raises RuntimeError if a process ended: the run is then void."""
    _require_same_processes(before, after)
    return {name: (after[name].cpu_seconds - cost.cpu_seconds) * 1000 / changes for name, cost in before.items()}


def _require_same_processes(before: Costs, after: Costs) -> None:
    ended = sorted(name for name, cost in before.items() if name not in after or after[name].pid != cost.pid)
    if ended:
        raise RuntimeError(f"{', '.join(ended)} ended during the measurement")


def _p99_ms(seconds: Sequence[float]) -> float:
    found = percentile(seconds, 99)
    if found is None:
        raise RuntimeError("no change had the effect whose latency is measured: use more people or a longer time")
    return found * 1000
