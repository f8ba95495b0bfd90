"""What becomes of an event at the door: refused, or recorded with a receipt."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import msgspec

from ingestion.problems import Fault

Status = Literal["accepted", "duplicate", "quarantined", "rejected"]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An event that can never be accepted as it is."""

    id: str | None
    event_id: str | None
    source: str | None
    day: date | None
    faults: tuple[Fault, ...]
    body: bytes


@dataclass(slots=True)
class Receipt:
    """The answer to one event. `accepted` means committed; `problems` says why it was not simply accepted."""

    id: str | None
    event_id: str | None
    status: Status
    problems: list[Fault] = field(default_factory=list)
