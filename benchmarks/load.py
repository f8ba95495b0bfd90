"""Load all people through the intake and wait until the last service is quiet."""

import time
from collections.abc import Mapping, Sequence

import msgspec
from shouwang.runtime.machine import Runtime

from benchmarks.home import progress
from benchmarks.people import SourceEvent
from benchmarks.push import PushedBatch, push_batches
from benchmarks.quiet import wait_until_quiet, watching

QUIET_SECONDS_MAX = 1_800


async def load(runtime: Runtime, events: Sequence[SourceEvent], tokens: Mapping[str, str]) -> dict[str, float]:
    """Return the figures of the load. `tokens`: by source. Raises RuntimeError if an event is not accepted."""
    async with watching(runtime) as watcher:
        began = time.monotonic()
        pushes = await push_batches(runtime.service_url("ingestion"), events, tokens)
        answered = time.monotonic()
        progress(f"  {len(events):,} events accepted after {answered - began:.0f} s")
        quiet = await wait_until_quiet(watcher, QUIET_SECONDS_MAX)
    _require_accepted(pushes.batches)
    seconds = quiet - began
    progress(f"  loaded and quiet after {seconds:.0f} s")
    return {
        "events": len(events),
        "seconds": round(seconds, 1),
        "events_per_s": round(len(events) / seconds),
        "door_events_per_s": round(len(events) / (answered - began)),
    }


def _require_accepted(batches: Sequence[PushedBatch]) -> None:
    """A figure with rejected events would be worthless."""
    for batch in batches:
        answer = msgspec.json.decode(batch.answer)
        if answer["accepted"] != answer["received"]:
            first = next(receipt for receipt in answer["results"] if receipt["status"] != "accepted")
            raise RuntimeError(
                f"of {answer['received']} events {answer['accepted']} were accepted; the first other: {first}"
            )
