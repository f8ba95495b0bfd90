"""A burst: the throughput of the whole chain, and the latency of a death during the burst."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shouwang.runtime.machine import Runtime

from benchmarks import home, profiling, recorded_burst
from benchmarks.effects import event_class, latencies, receipts
from benchmarks.figures import merged, spread_ms
from benchmarks.home import progress
from benchmarks.load import QUIET_SECONDS_MAX, load
from benchmarks.partitions import Partition, list_partitions
from benchmarks.people import SourceEvent, make_population
from benchmarks.providers import register_providers
from benchmarks.push import BatchPushes, PushedBatch, push_batches
from benchmarks.quiet import Watcher, wait_until_explained, wait_until_quiet, watching
from benchmarks.topic_reader import TopicReader
from benchmarks.usage import Meter

DEATHS_EVERY = 500
DIED = b'"reason":"died"'


@dataclass
class Cancellations:
    """`at`: when the last task of a person was cancelled because of death, in monotonic seconds by person id."""

    at: dict[str, float] = field(default_factory=dict)

    def on_visit(self, record: Any, at: float) -> None:
        if event_class(record.headers) == "VisitCancelled" and DIED in record.value:
            self.at[record.key.decode()] = at


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the first request: until the last answer, and until the platform was quiet. `reasons_owed`
    refusals had no reasons yet at that time; they took `reasons_seconds` more."""

    answered_seconds: float
    quiet_seconds: float
    reasons_owed: int
    reasons_seconds: float


def measure(people: int, changes: int, *, profiled: Sequence[str] = ()) -> dict[str, Any]:
    """Load `people`, push `changes` as fast as the intake answers, and wait until the last service is quiet.

    `profiled`: services, or `postgres`, whose profile is printed.
    """
    with home.fresh_home("burst") as folder:
        progress(f"burst: {changes:,} changes of {people:,} people")
        population = make_population(people, changes, deaths_every=DEATHS_EVERY)
        with home.platform(folder, profiling.prepare(folder, profiled)) as runtime:
            register_providers(runtime, home.admin_token())
            loaded = asyncio.run(load(runtime, population.load, home.tokens(population.load)))
            if profiling.POSTGRES in profiled:
                asyncio.run(profiling.reset_statements(runtime))
            results = asyncio.run(_run(runtime, population.changes))
            profiling.print_profiles(runtime, profiled)
        return merged({"load": {"people": people, **loaded}}, results)


async def _run(runtime: Runtime, changes: Sequence[SourceEvent]) -> dict[str, Any]:
    cancellations = Cancellations()
    async with watching(runtime) as watcher:
        starts = await _topic_ends(runtime, watcher)
        async with TopicReader(runtime.kafka_address, ["dispatch.visit"], cancellations.on_visit):
            meter = Meter({**runtime.running(), "driver": os.getpid()})
            pushes, timing = await _push_and_wait(runtime, watcher, changes)
            usage = meter.stop()
        spans = recorded_burst.Spans(starts, await _topic_ends(runtime, watcher))
        readers = {service: await _topics_read_by(runtime, service) for service in watcher.services}
    messages = await recorded_burst.record_burst(changes, runtime.kafka_address, spans, readers)
    sent = await _deaths_by_person(runtime, pushes.batches)
    deaths = spread_ms(latencies(sent, cancellations.at)) | {"deaths": len(sent)}
    return {
        "chain": _chain_figures(len(changes), pushes, timing) | {"messages": messages},
        "latency": {"death_under_burst_ms": deaths},
        **usage,
    }


async def _topic_ends(runtime: Runtime, watcher: Watcher) -> dict[Partition, int]:
    return await watcher.ends(await list_partitions(runtime.kafka_address))


async def _push_and_wait(
    runtime: Runtime, watcher: Watcher, changes: Sequence[SourceEvent]
) -> tuple[BatchPushes, Timing]:
    pushed = asyncio.Event()
    began = time.monotonic()
    waiting = asyncio.create_task(wait_until_quiet(watcher, QUIET_SECONDS_MAX, pushed))
    pushes = await push_batches(runtime.service_url("ingestion"), changes, home.tokens(changes))
    answered = time.monotonic()
    progress(f"  all accepted after {answered - began:.1f} s")
    pushed.set()
    quiet = await waiting
    owed, explaining = await wait_until_explained(runtime)
    return pushes, Timing(answered - began, quiet - began, owed, explaining)


def _chain_figures(changes: int, pushes: BatchPushes, timing: Timing) -> dict[str, Any]:
    changes_per_s = changes / timing.quiet_seconds
    progress(f"  quiet after {timing.quiet_seconds:.1f} s: {changes_per_s:,.0f} changes/s")
    return {
        "changes": changes,
        "seconds": round(timing.quiet_seconds, 1),
        "changes_per_s": round(changes_per_s, 1),
        "door_seconds": round(timing.answered_seconds, 1),
        "door_changes_per_s": round(changes / timing.answered_seconds, 1),
        "door_said_busy": pushes.busy_answers,
        "reasons_owed": timing.reasons_owed,
        "reasons_seconds": round(timing.reasons_seconds, 1),
    }


async def _topics_read_by(runtime: Runtime, service: str) -> list[str]:
    """The topics that a service reads, from its stored offsets."""
    connection = await home.connect(runtime, service)
    rows = await connection.fetch("SELECT DISTINCT topic FROM consumer_offsets ORDER BY topic")
    await connection.close()
    return [row[0] for row in rows]


async def _deaths_by_person(runtime: Runtime, batches: Sequence[PushedBatch]) -> dict[str, float]:
    """The instant at which the death of each person was pushed, by person id."""
    sent = _deaths_by_event(batches)
    connection = await home.connect(runtime, "ingestion")
    rows = await connection.fetch(
        "SELECT event_id::text, person_id::text FROM received WHERE event_id = ANY($1::uuid[])", list(sent)
    )
    await connection.close()
    return {person_id: sent[event_id] for event_id, person_id in rows}


def _deaths_by_event(batches: Sequence[PushedBatch]) -> Mapping[str, float]:
    sent = {}
    for batch in batches:
        for event, receipt in zip(batch.events, receipts(batch.answer), strict=True):
            if event.kind == "death":
                sent[receipt["event_id"]] = batch.sent_at
    return sent
