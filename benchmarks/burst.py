"""Measures a burst: the throughput of all services together ("chain"), and the latency of a death meanwhile."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime

from benchmarks import home, profiling, recorded_burst
from benchmarks.effects import event_class, latencies, receipts
from benchmarks.figures import Figures, merged, spread_ms, throughput
from benchmarks.home import progress
from benchmarks.kafka import Partition, list_partitions
from benchmarks.load import QUIET_SECONDS_MAX, load
from benchmarks.people import Events, make_population
from benchmarks.providers import register_providers
from benchmarks.push import BatchPushes, PushedBatch, push_batches
from benchmarks.quiet import Timed, Watcher, time_until_quiet, wait_until_explained, watching
from benchmarks.topic_reader import TopicReader
from benchmarks.usage import Meter

DEATHS_EVERY = 500
DIED = b'"reason":"died"'


@dataclass
class Cancellations:
    """Notes the tasks that are cancelled because of death. `at`: the instant of the last one by person id, in monotonic
    seconds."""

    at: dict[str, float] = field(default_factory=dict)

    def on_visit(self, record: Any, at: float) -> None:
        if event_class(record.headers) == "VisitCancelled" and DIED in record.value:
            self.at[record.key.decode()] = at


def measure(people: int, changes: int, *, profiled: Sequence[str] = ()) -> Figures:
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


async def _run(runtime: Runtime, changes: Events) -> Figures:
    cancellations = Cancellations()
    async with watching(runtime) as watcher:
        starts = await _topic_ends(runtime, watcher)
        async with TopicReader(runtime.kafka_settings(OPERATOR), ["dispatch.visit"], cancellations.on_visit):
            meter = Meter({**runtime.running(), "driver": os.getpid()})
            push = push_batches(runtime.service_url("ingestion"), changes, home.tokens(changes))
            timed = await time_until_quiet(watcher, push, QUIET_SECONDS_MAX)
            owed, explaining = await wait_until_explained(runtime)
            usage = meter.stop()
        spans = recorded_burst.Spans(starts, await _topic_ends(runtime, watcher))
        readers = {service: await _topics_read_by(runtime, service) for service in watcher.services}
    messages = await recorded_burst.record_burst(changes, runtime.kafka_settings(OPERATOR), spans, readers)
    chain = _chain_figures(len(changes), timed)
    chain |= {"reasons_owed": owed, "reasons_seconds": round(explaining, 1), "messages": messages}
    sent = await _deaths_by_person(runtime, timed.result.batches)
    deaths = spread_ms(latencies(sent, cancellations.at)) | {"deaths": len(sent)}
    return {"chain": chain, "latency": {"death_under_burst_ms": deaths}, **usage}


async def _topic_ends(runtime: Runtime, watcher: Watcher) -> dict[Partition, int]:
    return await watcher.ends(await list_partitions(runtime.kafka_settings(OPERATOR)))


def _chain_figures(changes: int, timed: Timed[BatchPushes]) -> Figures:
    figures = throughput(changes, timed.quiet_seconds)
    progress(f"  quiet after {timed.quiet_seconds:.1f} s: {figures['changes_per_s']:,.0f} changes/s")
    return figures | {
        "door_seconds": round(timed.pushed_seconds, 1),
        "door_changes_per_s": round(changes / timed.pushed_seconds, 1),
        "door_said_busy": timed.result.busy_answers,
    }


async def _topics_read_by(runtime: Runtime, service: str) -> list[str]:
    """The topics that a service reads, from its stored offsets."""
    rows = await home.fetch(runtime, service, "SELECT DISTINCT topic FROM consumer_offsets ORDER BY topic")
    return [row[0] for row in rows]


async def _deaths_by_person(runtime: Runtime, batches: Sequence[PushedBatch]) -> dict[str, float]:
    """The instant at which the death of each person was pushed, by person id."""
    sent = _deaths_by_event(batches)
    statement = "SELECT event_id::text, person_id::text FROM received WHERE event_id = ANY($1::uuid[])"
    rows = await home.fetch(runtime, "ingestion", statement, list(sent))
    return {person_id: sent[event_id] for event_id, person_id in rows}


def _deaths_by_event(batches: Sequence[PushedBatch]) -> Mapping[str, float]:
    """The instant at which each death was pushed, by event id."""
    sent = {}
    for batch in batches:
        for event, receipt in zip(batch.events, receipts(batch.answer), strict=True):
            if event.kind == "death":
                sent[receipt["event_id"]] = batch.sent_at
    return sent
