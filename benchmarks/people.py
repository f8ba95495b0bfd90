"""Makes the people of a measurement and their changes, encoded before anything is timed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import synth
from shell import clock

# the counties of Qujing, whose lists are documented
DIVISIONS = ("530302", "530303", "530304", "530322", "530323", "530324", "530325", "530326", "530381")
SEED = 7
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """One event of a source. `id`: the id that the source gave the event. `kind`: the fact kind.

    `body`: the CloudEvent in JSON.
    """

    source: str
    id: str
    kind: str
    body: bytes


Events = Sequence[SourceEvent]


@dataclass(frozen=True, slots=True)
class Population:
    """The events of a measurement. `load`: the content of all registers on the first day. `changes`: later events."""

    load: list[SourceEvent]
    changes: list[SourceEvent]


def make_population(people: int, changes: int, *, deaths_every: int = 0) -> Population:
    """People loaded two days ago, with `changes` changes since yesterday, so that no event lies in the future.

    Every `deaths_every`-th change is a death; 0 means no extra deaths.
    """
    county = synth.county(SEED, people, DIVISIONS, clock.today() - timedelta(days=1))
    load = [_source_event(event) for event in county.initial_load()]
    drawn = synth.changes(county, changes, people, SEED, deaths_every=deaths_every)
    return Population(load, [_source_event(event) for event in drawn])


def _source_event(event: dict[str, Any]) -> SourceEvent:
    return SourceEvent(event["source"], event["id"], event["type"].split(".")[3], _encode(event))


def batches_by_source(events: Iterable[SourceEvent], size: int) -> dict[str, list[list[SourceEvent]]]:
    """Batches of up to `size` events per source, in the order of the source. A token is valid for one source."""
    by_source: defaultdict[str, list[SourceEvent]] = defaultdict(list)
    for event in events:
        by_source[event.source].append(event)
    return {source: _batches(own, size) for source, own in by_source.items()}


def _batches(events: list[SourceEvent], size: int) -> list[list[SourceEvent]]:
    return [events[start : start + size] for start in range(0, len(events), size)]


def batch_body(events: Iterable[SourceEvent]) -> bytes:
    """The body of a request with these events, as a CloudEvents batch."""
    return b"[" + b",".join(event.body for event in events) + b"]"
