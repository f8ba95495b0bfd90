"""How long one change takes, from the door to the entitlement, to a provider's topic and to the due line."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from shouwang.runtime.machine import Runtime

from benchmarks import home
from benchmarks.door import SINGLE, Door
from benchmarks.figures import spread_ms
from benchmarks.home import say
from benchmarks.people import Pushed, make
from benchmarks.reading import Reader
from benchmarks.sightings import FirstSeen, causes_of, event_class, receipts, waits
from benchmarks.usage import Meter

CONNECTIONS_PER_SOURCE = 8
SETTLE_SECONDS = 5.0
DUE = "DuesDetermined"


def measure(people: int, rate: int, seconds: int) -> dict[str, Any]:
    """Load `people`, then push `rate` changes a second, each alone, whatever the platform makes of it."""
    with home.fresh_home("latency") as folder:
        say(f"latency: {rate} changes/s for {seconds} s, {people:,} people")
        made = make(people, rate * seconds, deaths_every=500)
        with home.platform(folder) as runtime:
            providers = home.register_providers(runtime, home.admin_token())
            return asyncio.run(_run(runtime, made.load, made.changes, rate, providers))


async def _run(
    runtime: Runtime, load: Sequence[Pushed], changes: Sequence[Pushed], rate: int, providers: Sequence[str]
) -> dict[str, Any]:
    await home.load(runtime, load, home.tokens(load))
    entitlements, offers, dues = FirstSeen(), FirstSeen(), FirstSeen()

    def on_due(record: Any, at: float) -> None:
        if event_class(record.headers) == DUE:
            dues.note(causes_of(record.headers, None), at)

    def on_entitlement(record: Any, at: float) -> None:
        entitlements.note(causes_of(record.headers, record.value), at)

    def on_offer(record: Any, at: float) -> None:
        offers.note(causes_of(record.headers, None), at)

    kafka = runtime.kafka_address
    async with (
        Reader(kafka, ["identification.entitlement"], on_entitlement),
        Reader(kafka, [f"dispatch.provider.{code}" for code in providers], on_offer),
        Reader(kafka, ["subsidy.payment"], on_due),
    ):
        meter = Meter(runtime.running())
        sent, answered = await push_at_rate(runtime, changes, rate, home.tokens(changes))
        await asyncio.sleep(SETTLE_SECONDS)
        usage = meter.stop()
    say(f"  {len(sent):,} changes sent")
    return {
        "latency": {
            "changes": len(sent),
            "rate_per_s": rate,
            "door_ms": spread_ms(answered),
            "entitlement_ms": spread_ms(waits(sent, entitlements.at)),
            "provider_topic_ms": spread_ms(waits(sent, offers.at)),
            "due_ms": spread_ms(waits(sent, dues.at)),
            "cpu_s": usage["cpu_s"],
        }
    }


async def push_at_rate(
    runtime: Runtime, changes: Sequence[Pushed], rate: int, tokens: Mapping[str, str]
) -> tuple[dict[str, float], list[float]]:
    """Open loop: each change has its instant and is timed from then, also when no connection is free yet.

    `rate`: changes a second. `tokens`: by source. Returns the instant of each change (monotonic seconds, by event id)
    and the seconds until the door had answered. Raises RuntimeError if a change is not accepted.
    """
    url = runtime.service_url("ingestion")
    free: dict[str, asyncio.Queue[Door]] = {source: asyncio.Queue() for source in {change.source for change in changes}}
    for source, queue in free.items():
        for _ in range(CONNECTIONS_PER_SOURCE):
            queue.put_nowait(await Door(url, tokens[source]).__aenter__())
    sent: dict[str, float] = {}
    answered: list[float] = []

    async def push(change: Pushed, due_at: float) -> None:
        door = await free[change.source].get()
        answer = await door.push(change.body, SINGLE)
        answered.append(time.monotonic() - due_at)
        free[change.source].put_nowait(door)
        (receipt,) = receipts(answer)
        if receipt["status"] != "accepted":
            raise RuntimeError(f"a change was not accepted: {receipt}")
        sent[receipt["event_id"]] = due_at

    began = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as group:
        for number, change in enumerate(changes):
            due_at = began + number / rate
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            group.create_task(push(change, due_at))
            if number and number % (rate * 10) == 0:
                say(f"  {number:,} of {len(changes):,} changes")
    for queue in free.values():
        while not queue.empty():
            await queue.get_nowait().__aexit__(None, None, None)
    return sent, answered
