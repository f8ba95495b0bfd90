"""Measures the reference for the ratio `ratio_to_usual`: the platform with a batch size of one.

Each step takes one message, one pooled connection and one transaction, and commits before the next message. The steps
run as concurrent processes over the same tables, indexes and rules.

Usual code is slower in one way: it has an ORM and waits for every send. It is faster in another: it has no outbox,
whose relay waits some milliseconds for more rows. The ratio refers to this reference and to no other code.
"""

import asyncio

from aiokafka import AIOKafkaProducer
from shell.kafka.client import connection
from shell.kafka.topics import inbound_topic
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime

from benchmarks import home
from benchmarks.figures import Figures, throughput
from benchmarks.home import progress
from benchmarks.kafka import started
from benchmarks.load import QUIET_SECONDS_MAX, load
from benchmarks.people import Events, make_population
from benchmarks.providers import register_providers
from benchmarks.quiet import time_until_quiet, watching

ONE_AT_A_TIME = {"SHOUWANG_BATCH_RECORDS_MAX": "1"}
UNACKNOWLEDGED_MAX = 500


def measure(people: int, changes: int) -> Figures:
    """Load `people` in batches, restart every service with a batch of one, then push `changes`."""
    with home.fresh_home("usual") as folder:
        progress(f"usual way: {changes:,} changes of {people:,} people, one message at a time")
        population = make_population(people, changes)
        with home.platform(folder) as runtime:
            register_providers(runtime, home.admin_token())
            asyncio.run(load(runtime, population.load, home.tokens(population.load)))
            _restart_one_at_a_time(runtime)
            seconds = asyncio.run(_run(runtime, population.changes))
    figures = throughput(len(population.changes), seconds)
    progress(f"  quiet after {seconds:.1f} s: {figures['changes_per_s']:,.0f} changes/s")
    return {"usual": figures}


def _restart_one_at_a_time(runtime: Runtime) -> None:
    services = home.stateful(runtime)
    for service in services:
        runtime.stop(service)
        runtime.start_service(service, env=ONE_AT_A_TIME)
    for service in services:
        runtime.wait_ready(service)


async def _run(runtime: Runtime, changes: Events) -> float:
    """Seconds from the first record on an inbound topic until the last service is quiet."""
    client = AIOKafkaProducer(**connection(runtime.kafka_settings(PROVISION)), linger_ms=5)
    async with started(client) as producer, watching(runtime) as watcher:
        timed = await time_until_quiet(watcher, _send(producer, changes), QUIET_SECONDS_MAX)
    return timed.quiet_seconds


async def _send(producer: AIOKafkaProducer, changes: Events) -> None:
    """Send all changes to the inbound topics, and wait until all are acknowledged."""
    unacknowledged = []
    for change in changes:
        key = change.source.encode()  # one key per source keeps the order of the source
        unacknowledged.append(await producer.send(inbound_topic(change.source), change.body, key=key))
        if len(unacknowledged) >= UNACKNOWLEDGED_MAX:
            await asyncio.gather(*unacknowledged)
            unacknowledged.clear()
    await asyncio.gather(*unacknowledged)
