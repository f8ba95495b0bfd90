"""Runs all hops of the raw limit over the tape of the last burst."""

import asyncio
import json
import logging
import sys
import time
from subprocess import PIPE, Popen
from typing import Any

from aiokafka import AIOKafkaProducer
from shell.kafka.create_topics import ensure_topics
from shell.kafka.topics import Topic, is_inbound, load_source_topic, source_of_topic
from shell.settings import Settings
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem

from benchmarks import home, tape
from benchmarks.home import say
from benchmarks.limit.hop import send_pieces
from benchmarks.limit.hops import PROVIDERS, hops
from benchmarks.usage import Meter

SECONDS_MAX = 600


def measure() -> dict[str, Any]:
    """Changes a second of the same bytes; needs the tape that a burst has left."""
    if not (tape.TAPE / "index.json").exists():
        raise LocalProblem("The raw limit moves the bytes of a burst: run --only burst first.")
    index = tape.index()
    changes = sum(count for topic, count in index["counts"].items() if is_inbound(topic))
    say(f"limit: the bytes of {changes:,} changes")
    with home.fresh_home("limit") as folder, home.stores(folder) as runtime:
        asyncio.run(_prepare(runtime, index["counts"]))
        return _run(runtime, index, changes)


async def _prepare(runtime: Runtime, counts: dict[str, int]) -> None:
    """The topics of providers and sources, and all changes on the latter: only the chain behind them is timed."""
    own = [
        Topic(name=name, owner="dispatch", key="task_id", cleanup="delete", local_partitions=1)
        for name in counts
        if name.startswith(PROVIDERS)
    ]
    sources = {topic: urn for topic in counts if (urn := source_of_topic(topic)) is not None}
    own += [load_source_topic(urn) for urn in sources.values()]
    await ensure_topics(own, Settings(kafka=runtime.kafka_address))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic just made has no leader yet: it tries again
    producer = AIOKafkaProducer(bootstrap_servers=runtime.kafka_address, max_batch_size=512 * 1024)
    await producer.start()
    for topic in sources:
        await send_pieces(producer, topic, list(tape.read(topic)))
    await producer.stop()


def _run(runtime: Runtime, index: dict[str, Any], changes: int) -> dict[str, Any]:
    processes: dict[str, Popen[str]] = {}
    try:
        for hop in hops(index["counts"], index["readers"]):
            command = [sys.executable, "-m", "benchmarks.limit.hop", hop.service, runtime.kafka_address]
            command.append(runtime.database_url(hop.service))
            processes[hop.service] = Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        for service, process in processes.items():
            if _line(process) != "ready":
                raise LocalProblem(f"the hop {service} of the raw limit did not start")
        meter = Meter({**runtime.running(), **{name: process.pid for name, process in processes.items()}})
        began = time.monotonic()
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        done_at = max(json.loads(_line(process))["done_at"] for process in processes.values())
        usage = meter.stop()
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    seconds = done_at - began
    say(f"  done after {seconds:.1f} s: {changes / seconds:,.0f} changes/s")
    return {
        "limit": {
            "changes": changes,
            "seconds": round(seconds, 1),
            "changes_per_s": round(changes / seconds, 1),
            "cpu_s": usage["cpu_s"],
        }
    }


def _line(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
