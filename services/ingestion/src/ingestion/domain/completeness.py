"""Compares the count that a source reports for a day with the events that were recorded.

The digest of a set of events is the XOR of the SHA-256 of their ids, as the source names them. So the order does not
matter, and the digest of a further set is added without the earlier events. A missing, foreign or doubled event changes
the digest.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Final, Literal, NamedTuple

import msgspec

Gap = Literal["not_reported", "short", "over", "differs"]
State = Literal["not_reported", "complete", "short", "over", "differs"]
STATES: Final[tuple[State, ...]] = ("not_reported", "complete", "short", "over", "differs")
DIGEST_BYTES: Final = 32
Key = tuple[str, date, str]


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The number of new events of one source, civil day of `time`, and kind. `digest`: of these events; None if
    unknown."""

    source: str
    day: date
    kind: str
    events: int
    digest: bytes | None

    @property
    def key(self) -> Key:
        return self.source, self.day, self.kind


class ReportedDay(NamedTuple):
    """The report of a source about one day. `digest`: 64 hex digits."""

    events: int
    digest: str


class RecordedDay(NamedTuple):
    """The events of a day that were recorded. `digest`: 64 hex digits; None if unknown."""

    events: int
    digest: str | None


def count_events(events: Iterable[tuple[Key, str]]) -> list[Tally]:
    """Count new events; return one tally per source, day and kind.

    `events`: for every event (source, day, kind), and the source's own id."""
    counts: dict[Key, int] = {}
    sums: dict[Key, int] = {}
    for key, id_ in events:
        counts[key] = counts.get(key, 0) + 1
        sums[key] = sums.get(key, 0) ^ _hash(id_)
    return [Tally(*key, count, sums[key].to_bytes(DIGEST_BYTES, "big")) for key, count in counts.items()]


def _hash(id_: str) -> int:
    return int.from_bytes(hashlib.sha256(id_.encode()).digest(), "big")


def add_up(tallies: Iterable[Tally]) -> dict[Key, Tally]:
    """Add up tallies; return one per source, day and kind."""
    found: dict[Key, Tally] = {}
    for tally in tallies:
        before = found.get(tally.key)
        found[tally.key] = tally if before is None else _sum(before, tally)
    return found


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(a.source, a.day, a.kind, a.events + b.events, _xor(a.digest, b.digest))


def _xor(a: bytes | None, b: bytes | None) -> bytes | None:
    """The digest of two sets of events together; None if one of the digests is unknown."""
    if a is None or b is None:
        return None
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(DIGEST_BYTES, "big")


def whole_day(tallies: Iterable[Tally]) -> RecordedDay:
    """Add up the tallies of all kinds of one source and day."""
    count = 0
    digest: bytes | None = bytes(DIGEST_BYTES)
    for tally in tallies:
        count += tally.events
        digest = _xor(digest, tally.digest)
    return RecordedDay(count, digest.hex() if digest is not None else None)


def compare(reported: ReportedDay | None, recorded: RecordedDay) -> State:
    """Compare a source's report of a day with the recorded events. If the recorded digest is unknown, only the numbers
    are compared.

    `short`, `over`: fewer or more events were recorded than reported. `differs`: the same number, but other events."""
    if reported is None:
        return "not_reported"
    if recorded.events != reported.events:
        return "short" if recorded.events < reported.events else "over"
    return "complete" if recorded.digest in (None, reported.digest) else "differs"
