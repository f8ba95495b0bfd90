"""Cases about whose word counts: claimed places, changed accounts, and sources that state too much about others."""

from datetime import date
from typing import ClassVar, Literal

from common.events.base import Event, Instant


class PlaceClaimed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source claims that the person has moved into its areas. `county_left` is asked to confirm it or to object;
    from `silent_on` on, silence vouches for the place. `owner`: the area that answers for the case. A case that nobody
    decided can open again after its `PlaceSettled`, with the same `case_id`."""

    topic: ClassVar[str] = "ingestion.case"

    case_id: str
    person_id: str
    event_id: str
    source: str
    kind: str
    division: str
    county_left: str
    owner: str
    opened_at: Instant
    silent_on: date


class PlaceSettled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The case of a claimed place is closed. `vouched`: other facts have vouched for it; `withdrawn`: its source has
    taken it back."""

    topic: ClassVar[str] = "ingestion.case"

    case_id: str
    person_id: str
    outcome: Literal["confirmed", "objected", "silent", "vouched", "withdrawn"]
    settled_at: Instant


class AccountChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source states another bank account than the one that was known of this person. `event_id`: of the new one,
    `before`: of the one known until now. `holder`: under whose name the new one stands."""

    topic: ClassVar[str] = "ingestion.case"

    person_id: str
    event_id: str
    before: str
    source: str
    holder: Literal["self", "other", "not_said"]
    changed_at: Instant


class ForeignEventsGrouped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source has stated so much about people to whom it does not belong that all of it is one case. `holds`: whether
    events wait or places are claimed."""

    topic: ClassVar[str] = "ingestion.source"

    group_id: str
    source: str
    kind: str
    day: date
    holds: Literal["events", "places"]
    owner: str
    opened_at: Instant

    def key(self) -> str:
        return self.source
