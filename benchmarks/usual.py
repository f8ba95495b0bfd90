"""The usual way: the same work, one message at a time.

Every step takes one message, one pooled connection and one transaction, and commits before it takes the next; the
steps run as concurrent processes, with the same tables, indexes and rules, and end in the same stores, since it is the
same code with a batch of one. Kinder than what is usually written: there is no ORM between, and the relay still sends
what it finds together. Harder: every step pays for an outbox, whose relay waits some milliseconds for company here as
always. The ratio to it is a ratio to this and nothing else.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from shell.kafka.topics import inbound_topic
from shouwang.runtime.machine import Runtime

from benchmarks import home
from benchmarks.home import say
from benchmarks.people import Pushed, make
from benchmarks.quiet import Watcher, until_quiet

ONE_AT_A_TIME = {"SHOUWANG_BATCH_RECORDS_MAX": "1"}
UNACKNOWLEDGED_MAX = 500


def measure(people: int, changes: int) -> dict[str, Any]:
    """Load `people` in batches, start every service anew with a batch of one, push `changes` of them."""
    with home.fresh_home("usual") as folder:
        say(f"usual way: {changes:,} changes of {people:,} people, one message at a time")
        made = make(people, changes)
        with home.platform(folder) as runtime:
            home.register_providers(runtime, home.admin_token())
            asyncio.run(home.load(runtime, made.load, home.tokens(made.load)))
            for service in home.stateful(runtime):
                runtime.stop(service)
                runtime.start_service(service, env=ONE_AT_A_TIME)
            for service in home.stateful(runtime):
                runtime.wait_ready(service)
            seconds = asyncio.run(_run(runtime, made.changes))
    say(f"  quiet after {seconds:.1f} s: {len(made.changes) / seconds:,.0f} changes/s")
    return {
        "usual": {
            "changes": len(made.changes),
            "seconds": round(seconds, 1),
            "changes_per_s": round(len(made.changes) / seconds, 1),
        }
    }


async def _run(runtime: Runtime, changes: Sequence[Pushed]) -> float:
    """Seconds from the first record on a source's topic until the last store is quiet."""
    watcher = Watcher(runtime, home.stateful(runtime))
    await watcher.open()
    producer = AIOKafkaProducer(bootstrap_servers=runtime.kafka_address, linger_ms=5)
    await producer.start()
    try:
        pushed = asyncio.Event()
        began = time.monotonic()
        waiting = asyncio.create_task(until_quiet(watcher, home.QUIET_SECONDS_MAX, say, pushed))
        under_way = []
        for change in changes:
            # one key per source: what a source says keeps its order
            topic = inbound_topic(change.source)
            under_way.append(await producer.send(topic, change.body, key=change.source.encode()))
            if len(under_way) >= UNACKNOWLEDGED_MAX:
                await asyncio.gather(*under_way)
                under_way.clear()
        await asyncio.gather(*under_way)
        pushed.set()
        return await waiting - began
    finally:
        await producer.stop()
        await watcher.close()
