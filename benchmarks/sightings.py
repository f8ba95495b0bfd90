"""From pushes and what was read of topics to how long each change took. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Headers = Iterable[tuple[str, bytes]]


class _Causes(msgspec.Struct):
    causes: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Causes).decode


def causes_of(headers: Headers, value: bytes | None) -> set[str]:
    """Every pushed event a record goes back to: its correlation, and all causes that were folded into it."""
    found = {text.decode() for name, text in headers if name == "ce_correlationid"}
    if value:
        found.update(_decode(value).causes)
    return found


def event_class(headers: Headers) -> str:
    """The last part of the CloudEvents type, `VisitCancelled` say."""
    return next((text.decode().rpartition(".")[2] for name, text in headers if name == "ce_type"), "")


class FirstSeen:
    """When each cause was first seen on a topic, in monotonic seconds."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def note(self, causes: Iterable[str], at: float) -> None:
        for cause in causes:
            self.at.setdefault(cause, at)


def waits(sent: Mapping[str, float], seen: Mapping[str, float]) -> list[float]:
    """Seconds from sending to seeing, of the causes that had an effect at all."""
    return [seen[cause] - at for cause, at in sent.items() if cause in seen]


def receipts(body: bytes) -> list[Any]:
    """The results of a push, in the order of its events."""
    results: list[Any] = msgspec.json.decode(body)["results"]
    return results
