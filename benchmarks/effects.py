"""Computes latencies from pushed events to the first records that name them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Headers = Iterable[tuple[str, bytes]]


class _Causes(msgspec.Struct):
    causes: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Causes).decode


def causes_of(headers: Headers, value: bytes | None) -> set[str]:
    """The ids of all pushed events behind a record: its correlation id, and the `causes` in its value."""
    causes = set(_decode(value).causes) if value else set()
    if correlation := _header(headers, "ce_correlationid"):
        causes.add(correlation)
    return causes


def event_class(headers: Headers) -> str:
    """The last part of the CloudEvents type, for example `VisitCancelled`; empty without a type."""
    return _header(headers, "ce_type").rpartition(".")[2]


def _header(headers: Headers, wanted: str) -> str:
    """The value of a header; empty if it is missing."""
    return next((value.decode() for name, value in headers if name == wanted), "")


class FirstSeen:
    """The instant at which each cause was first seen on a topic, in monotonic seconds."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def note(self, causes: Iterable[str], at: float) -> None:
        """Keep `at` for every cause that was not seen before."""
        for cause in causes:
            self.at.setdefault(cause, at)

    def latencies(self, sent: Mapping[str, float]) -> list[float]:
        """Seconds from sending to the first record, for each cause that was seen. `sent`: instants by cause."""
        return latencies(sent, self.at)


def latencies(sent: Mapping[str, float], seen: Mapping[str, float]) -> list[float]:
    """Seconds from sending to the first effect, for each cause that had an effect."""
    return [seen[cause] - at for cause, at in sent.items() if cause in seen]


def receipts(body: bytes) -> list[Any]:
    """The receipts of a push, in the order of its events."""
    results: list[Any] = msgspec.json.decode(body)["results"]
    return results
