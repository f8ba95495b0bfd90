"""Events of officer cases about statements: claimed places, changed bank accounts, and sources that state too much
about people to whom they do not belong."""

from datetime import date
from typing import ClassVar, Literal

from common.events.base import Event, Instant


class PlaceClaimed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source claims that the person has moved into its areas. `county_left` is asked to confirm it or to object;
    from `silent_on` on, a missing answer counts as a confirmation. `owner`: the area that answers for the case. A case
    without a decision can open again after its `PlaceSettled`, with the same `case_id`."""

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
    """The case of a claimed place is closed. `silent`: no answer came in time. `vouched`: other facts have confirmed
    the place. `withdrawn`: its source has annulled it or states another place by now."""

    topic: ClassVar[str] = "ingestion.case"

    case_id: str
    person_id: str
    outcome: Literal["confirmed", "objected", "silent", "vouched", "withdrawn"]
    settled_at: Instant


class AccountChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source reports a bank account that differs from the known one. `event_id`: the event of the new account;
    `before`: the event of the old one. `holder`: whether the new account has the person's name."""

    topic: ClassVar[str] = "ingestion.case"

    person_id: str
    event_id: str
    before: str
    source: str
    holder: Literal["self", "other", "not_said"]
    changed_at: Instant


class ForeignEventsGrouped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source has reported so much about people to whom it does not belong that one case holds all of it. `holds`:
    waiting events or claimed places."""

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
