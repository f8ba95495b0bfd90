"""What a source says it sent on a day against what is here: counts, and a digest in which the order does not matter.

The digest of some events is the XOR of the SHA-256 of their ids (as the source names them): whoever adds another
set of events to it needs no event seen before, and an event that is missing, foreign or counted twice shows.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Final, Literal, NamedTuple

import msgspec

State = Literal["not_reported", "complete", "short", "over", "differs"]
STATES: Final[tuple[State, ...]] = ("not_reported", "complete", "short", "over", "differs")
DIGEST_BYTES: Final = 32
Key = tuple[str, date, str]


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """New events of one source, day (the source's own) and kind. `digest` is None where nobody knows it any more."""

    source: str
    day: date
    kind: str
    events: int
    digest: bytes | None


class Told(NamedTuple):
    """What the source says. `digest`: 64 hex digits."""

    events: int
    digest: str


class Ours(NamedTuple):
    events: int
    digest: str | None


def count_events(events: Iterable[tuple[Key, str]]) -> list[Tally]:
    """`events`: (source, day, kind) and the source's id of every event that is new."""
    counts: dict[Key, int] = {}
    sums: dict[Key, int] = {}
    for key, id_ in events:
        counts[key] = counts.get(key, 0) + 1
        sums[key] = sums.get(key, 0) ^ int.from_bytes(hashlib.sha256(id_.encode()).digest(), "big")
    return [Tally(*key, counts[key], sums[key].to_bytes(DIGEST_BYTES, "big")) for key in counts]


def add_up(tallies: Iterable[Tally]) -> dict[Key, Tally]:
    """One tally per source, day and kind."""
    found: dict[Key, Tally] = {}
    for tally in tallies:
        key = (tally.source, tally.day, tally.kind)
        before = found.get(key)
        found[key] = tally if before is None else _sum(before, tally)
    return found


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(a.source, a.day, a.kind, a.events + b.events, _xor(a.digest, b.digest))


def _xor(a: bytes | None, b: bytes | None) -> bytes | None:
    """Unknown as soon as one part is."""
    if a is None or b is None:
        return None
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(DIGEST_BYTES, "big")


def whole_day(tallies: Iterable[Tally]) -> Ours:
    """All kinds of one source and day together."""
    count, digest = 0, bytes(DIGEST_BYTES)
    total: bytes | None = digest
    for tally in tallies:
        count += tally.events
        total = _xor(total, tally.digest)
    return Ours(count, total.hex() if total is not None else None)


def compare(told: Told | None, ours: Ours) -> State:
    """`differs`: as many, but not the same. An unknown digest of ours is not held against anybody."""
    if told is None:
        return "not_reported"
    if ours.events != told.events:
        return "short" if ours.events < told.events else "over"
    return "complete" if ours.digest in (None, told.digest) else "differs"
