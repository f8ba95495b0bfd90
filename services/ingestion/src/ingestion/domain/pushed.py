"""A pushed event after its form was checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from common.codes import divisions
from common.codes.id_number import has_hukou
from common.events.facts import Action, Kind, Registration, Residence
from common.events.population import PopulationValue, RegistrationValue, ResidenceValue


@dataclass(frozen=True, slots=True)
class Source:
    """`ranks`: kind → rank, 1 is the strongest; a kind that is not in it is refused. `areas`: whose people it knows.
    An inactive source is known and refused."""

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
    `household`: keyed hash of the household number; `holder`: for whom a disability certificate was made out, where it
    names another number than the person's; `digest`: keyed hash of its content; `kept`: the whole event as
    JSON, to be sealed. `value_ignored`: the source sent a value that the action does not use; it is kept nowhere."""

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
    traceparent: str | None = None


def registers_elsewhere(event: Pushed) -> bool:
    """A first registration in an area that is not the source's own. Only a code in force is held against a source:
    where places that were renumbered lie today is not always known."""
    if event.previous is not None or not isinstance(event.value, RegistrationValue):
        return False
    code = event.value.hukou_division if has_hukou(event.person.number) else None
    place = divisions.get(code) if code else None
    return place is not None and place.valid_to is None and not says_within(event.value, event.source.areas)


def says_within(value: object, areas: Sequence[str]) -> bool:
    """Whether a registration or residence lies in one of these areas."""
    code: str | None
    if isinstance(value, RegistrationValue | Registration):
        code = value.hukou_division
    elif isinstance(value, ResidenceValue | Residence):
        code = value.division
    else:
        return False
    return code is not None and any(divisions.within(code, area) for area in areas)
