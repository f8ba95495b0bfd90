"""Runs all hops of the raw limit over the records of the last burst, and measures their throughput."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

from aiokafka import AIOKafkaProducer
from shell.kafka.client import connection
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import Topic, is_inbound, load_source_topic, source_of_topic
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

from benchmarks import home
from benchmarks.figures import Figures, throughput
from benchmarks.home import progress
from benchmarks.kafka import started
from benchmarks.limit.hop import BATCH_BYTES, send_records
from benchmarks.limit.hops import PROVIDERS, hops
from benchmarks.recorded_burst import INDEX, load_index, read_topic
from benchmarks.usage import Meter

Processes = Mapping[str, Popen[str]]  # by service


def measure() -> Figures:
    """Measure the throughput of the bytes of the last burst. Raises LocalProblem if no burst was recorded."""
    if not INDEX.exists():
        raise LocalProblem("The raw limit moves the bytes of a burst: run --only burst first.")
    index = load_index()
    changes = sum(count for topic, count in index["counts"].items() if is_inbound(topic))
    progress(f"limit: the bytes of {changes:,} changes")
    with home.fresh_home("limit") as folder, home.stores(folder) as runtime:
        asyncio.run(_prepare(runtime, index["counts"]))
        with _processes(runtime, index) as processes:
            seconds, usage = _time(runtime, processes)
    figures = throughput(changes, seconds)
    progress(f"  done after {seconds:.1f} s: {figures['changes_per_s']:,.0f} changes/s")
    return {"limit": {**figures, "cpu_s": usage["cpu_s"]}}


async def _prepare(runtime: Runtime, counts: Mapping[str, int]) -> None:
    """Create the topics of providers and sources, and send all changes: only the chain after them is timed."""
    sources = {topic: urn for topic in counts if (urn := source_of_topic(topic)) is not None}
    topics = [_provider_topic(name) for name in counts if name.startswith(PROVIDERS)]
    topics += [load_source_topic(urn) for urn in sources.values()]
    await ensure_topics(topics, runtime.kafka_settings(PROVISION))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs retries while a new topic has no leader yet
    client = AIOKafkaProducer(**connection(runtime.kafka_settings(PROVISION)), max_batch_size=BATCH_BYTES)
    async with started(client) as producer:
        for topic in sources:
            await send_records(producer, topic, list(read_topic(topic)))


def _provider_topic(name: str) -> Topic:
    return Topic(name=name, owner="dispatch", key="task_id", cleanup="delete", local_partitions=1)


@contextmanager
def _processes(runtime: Runtime, index: Mapping[str, Any]) -> Iterator[Processes]:
    """One process per hop, ready to start; killed at the end."""
    processes: dict[str, Popen[str]] = {}
    try:
        for hop in hops(index["counts"], index["readers"]):
            processes[hop.service] = _spawn(runtime, hop.service)
        for service, process in processes.items():
            if _line(process) != "ready":
                raise LocalProblem(f"the hop {service} of the raw limit did not start")
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def _spawn(runtime: Runtime, service: str) -> Popen[str]:
    arguments = (service, runtime.kafka_address, runtime.database_url(service))
    command = [sys.executable, "-m", "benchmarks.limit.hop", *arguments]
    env = os.environ | runtime.kafka_users.environment(PROVISION)
    return Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=env)


def _time(runtime: Runtime, processes: Processes) -> tuple[float, Figures]:
    """Seconds from the start of all hops to the end of the last one, and the costs."""
    meter = Meter({**runtime.running(), **{service: process.pid for service, process in processes.items()}})
    began = time.monotonic()
    for process in processes.values():
        _start(process)
    done_at = max(json.loads(_line(process))["done_at"] for process in processes.values())
    return done_at - began, meter.stop()


def _start(process: Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _line(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
