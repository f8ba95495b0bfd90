"""A pushed event whose form was checked, and its source."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import msgspec
from common.events.facts import Action, Kind
from common.events.pushed_values import PopulationValue

WEAKEST_RANK: Final = 9


@dataclass(frozen=True, slots=True)
class Source:
    """A registered source. `ranks`: kind → rank, 1 is the strongest; any other kind is rejected. `areas`: it
    may state facts about people of these areas. The events of an inactive source are rejected. Only the platform writes
    under an `internal` source."""

    urn: str
    area: str
    name: str
    ranks: dict[str, int]
    areas: tuple[str, ...]
    active: bool
    internal: bool = False

    def rank_of(self, kind: Kind) -> int:
        """The rank for a kind. An event that was accepted before its kind was removed gets WEAKEST_RANK."""
        return self.ranks.get(kind, WEAKEST_RANK)


class Member(msgspec.Struct, frozen=True, gc=False):
    """A person named by ID number. `index`: the blind index, which finds the person without the number."""

    index: bytes
    number: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid event.

    `event_id`: the platform's id, a keyed hash of the source and `id`, the source's own id. `day`: the civil day of
    `time`. `previous`: event id of its predecessor. `members`: other persons whom it names by number. `holder`: the
    person named by the ID number in a disability certificate, if it is another number. `household`: keyed hash of the
    household number. `digest`: keyed hash of the content. `kept`: the whole event as JSON, to be sealed. `name`: only
    of a registration. `name_digest`: keyed hash of that name, or of the holder's name of a bank account. `account`:
    keyed hash of the account number. `value_ignored`: the source sent a value that the action does not use; the value
    is not kept."""

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
