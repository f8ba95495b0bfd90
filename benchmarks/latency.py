"""Measures the latency of one change: from its push to the entitlement, to the topic of a provider, and to the due."""

import asyncio
from collections.abc import Sequence
from typing import Any

from shell.settings import Settings
from shouwang.runtime.kafka_acls import OPERATOR
from shouwang.runtime.machine import Runtime

from benchmarks import home
from benchmarks.effects import FirstSeen, causes_of, event_class
from benchmarks.figures import Figures, spread_ms
from benchmarks.home import progress
from benchmarks.load import load
from benchmarks.people import Population, make_population
from benchmarks.providers import register_providers
from benchmarks.push import SinglePushes, push_at_rate
from benchmarks.topic_reader import TopicReader
from benchmarks.usage import Meter

DEATHS_EVERY = 500
SETTLE_SECONDS = 5.0


class Effects:
    """Notes the first record on each topic that names a change."""

    def __init__(self) -> None:
        self.entitlements, self.offers, self.dues = FirstSeen(), FirstSeen(), FirstSeen()

    def on_entitlement(self, record: Any, at: float) -> None:
        self.entitlements.note(causes_of(record.headers, record.value), at)

    def on_offer(self, record: Any, at: float) -> None:
        self.offers.note(causes_of(record.headers, None), at)

    def on_payment(self, record: Any, at: float) -> None:
        if event_class(record.headers) == "DuesDetermined":
            self.dues.note(causes_of(record.headers, None), at)

    def entitlement_reader(self, kafka: Settings) -> TopicReader:
        return TopicReader(kafka, ["identification.entitlement"], self.on_entitlement)

    def offer_reader(self, kafka: Settings, providers: Sequence[str]) -> TopicReader:
        return TopicReader(kafka, [f"dispatch.provider.{code}" for code in providers], self.on_offer)

    def due_reader(self, kafka: Settings) -> TopicReader:
        return TopicReader(kafka, ["subsidy.payment"], self.on_payment)


def measure(people: int, rate: int, seconds: int) -> Figures:
    """Load `people`, then push `rate` single changes per second for `seconds`, however fast the platform is."""
    with home.fresh_home("latency") as folder:
        progress(f"latency: {rate} changes/s for {seconds} s, {people:,} people")
        population = make_population(people, rate * seconds, deaths_every=DEATHS_EVERY)
        with home.platform(folder) as runtime:
            providers = register_providers(runtime, home.admin_token())
            return asyncio.run(_run(runtime, population, rate, providers))


async def _run(runtime: Runtime, population: Population, rate: int, providers: Sequence[str]) -> Figures:
    await load(runtime, population.load, home.tokens(population.load))
    changes, effects, kafka = population.changes, Effects(), runtime.kafka_settings(OPERATOR)
    async with (
        effects.entitlement_reader(kafka),
        effects.offer_reader(kafka, providers),
        effects.due_reader(kafka),
    ):
        meter = Meter(runtime.running())
        pushes = await push_at_rate(runtime.service_url("ingestion"), changes, rate, home.tokens(changes))
        await asyncio.sleep(SETTLE_SECONDS)
        usage = meter.stop()
    progress(f"  {len(pushes.sent):,} changes sent")
    return {"latency": _figures(pushes, effects, rate) | {"cpu_s": usage["cpu_s"]}}


def _figures(pushes: SinglePushes, effects: Effects, rate: int) -> Figures:
    return {
        "changes": len(pushes.sent),
        "rate_per_s": rate,
        "door_ms": spread_ms(pushes.answer_seconds),
        "entitlement_ms": spread_ms(effects.entitlements.latencies(pushes.sent)),
        "provider_topic_ms": spread_ms(effects.offers.latencies(pushes.sent)),
        "due_ms": spread_ms(effects.dues.latencies(pushes.sent)),
    }
