"""A pushed event after its form was checked."""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from common.events.facts import Action, Kind
from common.events.population import PopulationValue


@dataclass(frozen=True, slots=True)
class Source:
    """`ranks`: kind → rank, 1 is the strongest; a kind that is not in it is refused. `areas`: where it may register
    people. An inactive source is known and refused."""

    urn: str
    area: str
    name: str
    ranks: dict[str, int]
    areas: tuple[str, ...]
    active: bool


class Member(msgspec.Struct, frozen=True, gc=False):
    """Somebody named by ID number: `index` finds them without showing the number."""

    index: bytes
    number: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid event. `members`: others whom it names by number; `previous`: the event id of its predecessor;
    `household`: keyed hash of the household number; `digest`: keyed hash of its content; `kept`: the whole event as
    JSON, to be sealed."""

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
