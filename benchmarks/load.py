"""Loads all people through the intake and waits until the platform is quiet."""

import msgspec
from shouwang.runtime.machine import Runtime

from benchmarks.home import Tokens, progress
from benchmarks.people import Events
from benchmarks.push import PushedBatch, push_batches
from benchmarks.quiet import time_until_quiet, watching

QUIET_SECONDS_MAX = 1_800


async def load(runtime: Runtime, events: Events, tokens: Tokens) -> dict[str, float]:
    """Push all events, wait until the platform is quiet, and return the figures. `tokens`: by source.

    Raises RuntimeError if an event is not accepted."""
    push = push_batches(runtime.service_url("ingestion"), events, tokens)
    async with watching(runtime) as watcher:
        timed = await time_until_quiet(watcher, push, QUIET_SECONDS_MAX)
    for batch in timed.result.batches:
        _require_accepted(batch)
    progress(f"  {len(events):,} events loaded and quiet after {timed.quiet_seconds:.0f} s")
    return {
        "events": len(events),
        "seconds": round(timed.quiet_seconds, 1),
        "events_per_s": round(len(events) / timed.quiet_seconds),
        "door_events_per_s": round(len(events) / timed.pushed_seconds),
    }


def _require_accepted(batch: PushedBatch) -> None:
    """Raise RuntimeError unless a whole batch is accepted: a figure with rejected events would be worthless."""
    answer = msgspec.json.decode(batch.answer)
    if answer["accepted"] != answer["received"]:
        first = next(receipt for receipt in answer["results"] if receipt["status"] != "accepted")
        counts = f"{answer['accepted']} of {answer['received']} events"
        raise RuntimeError(f"the intake accepted {counts}; the first other: {first}")
