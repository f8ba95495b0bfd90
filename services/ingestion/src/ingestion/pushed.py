"""A pushed event after its form was checked, and the answer to it."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import msgspec
from common.events.facts import Action, Kind
from common.events.population import PopulationValue

from ingestion.problems import Fault
from ingestion.sources import Source

Status = Literal["accepted", "duplicate", "quarantined", "rejected"]


class Member(msgspec.Struct, frozen=True, gc=False):
    """Somebody named by ID number: `index` finds them without showing the number."""

    index: bytes
    number: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid event. `previous`: the event id of its predecessor; `household`: keyed hash of the household number;
    `digest`: keyed hash of its content; `kept`: the whole event as JSON, to be sealed."""

    event_id: str
    id: str
    source: Source
    kind: Kind
    action: Action
    time: datetime
    day: date
    person: Member
    name: str | None
    valid_from: date | None
    valid_to: date | None
    value: PopulationValue | None
    previous: str | None
    household: str | None
    members: tuple[Member, ...]
    digest: bytes
    kept: bytes
    traceparent: str | None = None


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
