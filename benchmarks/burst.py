"""A burst: how many changes a second the whole chain does, and how long a death takes meanwhile."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from shouwang.runtime.machine import Runtime

from benchmarks import home, profiling, tape
from benchmarks.door import BATCH, Door
from benchmarks.figures import merged, spread_ms
from benchmarks.home import say
from benchmarks.people import Pushed, batches, joined, make
from benchmarks.places import places
from benchmarks.quiet import Watcher, until_quiet
from benchmarks.reading import Reader
from benchmarks.sightings import event_class, receipts, waits
from benchmarks.usage import Meter

BATCH_EVENTS_MAX = 1_000
DEATHS_EVERY = 500
DIED = b'"reason":"died"'


@dataclass
class Seen:
    """What the driver learns while the burst runs, in monotonic seconds.

    `deaths`: when the batch with a death was sent, by event id. `cancelled`: when the last task of a person was
    cancelled for death, by person id.
    """

    deaths: dict[str, float] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)
    refused_busy: int = 0

    def on_visit(self, record: Any, at: float) -> None:
        if event_class(record.headers) == "VisitCancelled" and DIED in record.value:
            self.cancelled[record.key.decode()] = at


def measure(people: int, changes: int, *, profiled: Sequence[str] = ()) -> dict[str, Any]:
    """Load `people`, push `changes` of them as fast as the door takes them, wait until the last store is quiet."""
    with home.fresh_home("burst") as folder:
        say(f"burst: {changes:,} changes of {people:,} people")
        made = make(people, changes, deaths_every=DEATHS_EVERY)
        env = {service: profiling.environment(folder, service) for service in profiled}
        if "postgres" in profiled:
            profiling.count_statements()
        with home.platform(folder, env) as runtime:
            home.register_providers(runtime, home.admin_token())
            loaded = asyncio.run(home.load(runtime, made.load, home.tokens(made.load)))
            if "postgres" in profiled:
                asyncio.run(profiling.forget_statements(runtime))
            results = asyncio.run(_run(runtime, made.changes))
            _report_profiles(runtime, profiled)
        return merged({"load": {"people": people, **loaded}}, results)


def _report_profiles(runtime: Runtime, profiled: Sequence[str]) -> None:
    for name in profiled:
        if name == "postgres":
            say(asyncio.run(profiling.statements(runtime)))
        else:
            runtime.stop(name)
            say(profiling.report(runtime.home, name))


async def _run(runtime: Runtime, changes: Sequence[Pushed]) -> dict[str, Any]:
    seen, services = Seen(), home.stateful(runtime)
    watcher = Watcher(runtime, services)
    await watcher.open()
    starts = await watcher.ends(await places(runtime.kafka_address))
    async with Reader(runtime.kafka_address, ["dispatch.visit"], seen.on_visit):
        meter = Meter({**runtime.running(), "driver": os.getpid()})
        pushed = asyncio.Event()
        began = time.monotonic()
        waiting = asyncio.create_task(until_quiet(watcher, home.QUIET_SECONDS_MAX, say, pushed))
        await push(runtime, changes, home.tokens(changes), seen)
        at_door = time.monotonic()
        say(f"  all through the door after {at_door - began:.1f} s")
        pushed.set()
        quiet = await waiting
        owed, explaining = await until_explained(runtime)
        usage = meter.stop()
    ends = await watcher.ends(await places(runtime.kafka_address))
    await watcher.close()
    seconds = quiet - began
    say(f"  quiet after {seconds:.1f} s: {len(changes) / seconds:,.0f} changes/s")
    messages = await tape.record(changes, runtime.kafka_address, starts, ends, await _readers(runtime, services))
    sent = await _by_person(runtime, seen.deaths)
    return {
        "chain": {
            "changes": len(changes),
            "seconds": round(seconds, 1),
            "changes_per_s": round(len(changes) / seconds, 1),
            "door_seconds": round(at_door - began, 1),
            "door_changes_per_s": round(len(changes) / (at_door - began), 1),
            "door_said_busy": seen.refused_busy,
            "reasons_owed": owed,
            "reasons_seconds": round(explaining, 1),
            "messages": messages,
        },
        "latency": {
            "death_under_burst_ms": spread_ms(waits(sent, seen.cancelled)) | {"deaths": len(sent)},
        },
        **usage,
    }


async def until_explained(runtime: Runtime) -> tuple[int, float]:
    """Wait until the reasons of refusals are written. Returns how many decisions waited for theirs, and the seconds."""
    service = "identification"
    connection = await asyncpg.connect(runtime.database_url(service), server_settings={"search_path": service})
    began = time.monotonic()
    if await connection.fetchval("SELECT to_regclass('unexplained') IS NULL"):  # another commit may do it otherwise
        await connection.close()
        return 0, 0.0
    owed = left = await connection.fetchval("SELECT count(*) FROM unexplained")
    while left and time.monotonic() - began < home.QUIET_SECONDS_MAX:
        await asyncio.sleep(0.5)
        left = await connection.fetchval("SELECT count(*) FROM unexplained")
    await connection.close()
    return owed, time.monotonic() - began


async def push(runtime: Runtime, changes: Sequence[Pushed], tokens: Mapping[str, str], seen: Seen) -> None:
    """Push batches over one connection per source, every source in its own order. `tokens`: by source."""
    url = runtime.service_url("ingestion")
    prepared = {
        source: [(joined(part), [n for n, one in enumerate(part) if one.kind == "death"]) for part in parts]
        for source, parts in batches(changes, BATCH_EVENTS_MAX).items()
    }

    async def push_source(source: str, door: Door) -> None:
        for body, deaths in prepared[source]:
            at = time.monotonic()
            answer = await door.push(body, BATCH)
            if deaths:
                told = receipts(answer)
                seen.deaths.update((told[n]["event_id"], at) for n in deaths)
        seen.refused_busy += door.refused_busy

    async with AsyncExitStack() as stack:
        doors = {source: await stack.enter_async_context(Door(url, tokens[source])) for source in prepared}
        await asyncio.gather(*(push_source(source, door) for source, door in doors.items()))


async def _readers(runtime: Runtime, services: Sequence[str]) -> dict[str, list[str]]:
    """Which topics each service reads, as its own offsets tell."""
    found = {}
    for service in services:
        connection = await asyncpg.connect(runtime.database_url(service), server_settings={"search_path": service})
        rows = await connection.fetch("SELECT DISTINCT topic FROM consumer_offsets ORDER BY topic")
        found[service] = [row[0] for row in rows]
        await connection.close()
    return found


async def _by_person(runtime: Runtime, deaths: Mapping[str, float]) -> dict[str, float]:
    """When the death of each person was pushed, by person id."""
    connection = await asyncpg.connect(runtime.database_url("ingestion"), server_settings={"search_path": "ingestion"})
    rows = await connection.fetch(
        "SELECT event_id::text, person_id::text FROM received WHERE event_id = ANY($1::uuid[])", list(deaths)
    )
    await connection.close()
    return {row[1]: deaths[row[0]] for row in rows}
