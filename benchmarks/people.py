"""The people of a measurement and the changes that happen to them, encoded before anything is timed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
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
class Pushed:
    """One change as it goes through the door. `id` is the source's own."""

    source: str
    id: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """`load`: what the registers hold on the first day. `changes`: what happens after."""

    load: list[Pushed]
    changes: list[Pushed]


def make(people: int, changes: int, *, deaths_every: int = 0) -> Made:
    """People loaded two days ago and changed since yesterday, so that nothing lies in the future."""
    county = synth.county(SEED, people, DIVISIONS, clock.today() - timedelta(days=1))
    load = [_pushed(event) for event in county.initial_load()]
    drawn = synth.changes(county, changes, people, SEED, deaths_every=deaths_every)
    return Made(load, [_pushed(event) for event in drawn])


def _pushed(event: dict[str, Any]) -> Pushed:
    return Pushed(event["source"], event["id"], event["type"].split(".")[3], _encode(event))


def batches(pushed: Iterable[Pushed], size: int) -> dict[str, list[list[Pushed]]]:
    """By source, in order: a token speaks for one source."""
    by_source: dict[str, list[list[Pushed]]] = defaultdict(lambda: [[]])
    for one in pushed:
        if len(by_source[one.source][-1]) == size:
            by_source[one.source].append([])
        by_source[one.source][-1].append(one)
    return by_source


def joined(batch: Iterable[Pushed]) -> bytes:
    """A CloudEvents batch."""
    return b"[" + b",".join(one.body for one in batch) + b"]"


def sources_of(pushed: Iterable[Pushed]) -> Iterator[str]:
    return iter(sorted({one.source for one in pushed}))
