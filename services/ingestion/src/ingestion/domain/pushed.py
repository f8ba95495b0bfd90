"""A pushed event after its form was checked."""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from common.events.facts import Action, Kind
from common.events.population import PopulationValue


@dataclass(frozen=True, slots=True)
class Source:
    """`ranks`: kind → rank, 1 is the strongest; a kind that is not in it is refused. `areas`: whose people it knows.
    An inactive source is known, and its events are rejected. Only the platform writes as an `internal` one."""

    urn: str
    area: str
    name: str
    ranks: dict[str, int]
    areas: tuple[str, ...]
    active: bool
    internal: bool = False


class Member(msgspec.Struct, frozen=True, gc=False):
    """Somebody named by ID number: `index` finds them without showing the number."""

    index: bytes
    number: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid event. `members`: others whom it names by number; `previous`: the event id of its predecessor;
    `household`: keyed hash of the household number; `holder`: for whom a disability certificate was made out, where it
    names another number than the person's; `digest`: keyed hash of its content; `kept`: the whole event as
    JSON, to be sealed. `name`: only of a registration; `name_digest`: keyed hash of it, or of the name under which a
    bank account stands; `account`: keyed hash of its number. `value_ignored`: the source sent a value
    that the action does not use; it is kept nowhere."""

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
    holder: Member | None = None
    value_ignored: bool = False
    name_digest: bytes = b""
    account: str | None = None
    traceparent: str | None = None
