"""Bodies and answers of the routes about the quarantine, claimed places and groups."""

from datetime import date, datetime
from typing import Final, Literal

from pydantic import BaseModel, Field
from shell.http.params import Body, Id, Reason

GRANT_DAYS_MAX: Final = 366


class ReasonIn(Body):
    reason: Reason


# ── quarantine ──────────────────────────────────────────────────────────────────────────────────────────────


class QuarantinedOut(BaseModel):
    """An event that waits, or the part of one household member (`part_of` the list's event).

    `waits_for`: the event that it follows. `owner`: the area whose officers decide. `officers_needed`: how many must
    agree on a release. `first_outcome`, `first_grant_days`: the decision of the first of them. `signs_of_life`: for a
    death, the `alive` events of the same person that wait, too."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    reason_text: str
    waits_for: str | None
    part_of: str | None
    group_id: str | None
    owner: str
    state: str
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None
    officers_needed: int
    first_by: str | None
    first_outcome: str | None
    first_grant_days: int | None
    refuted_by: str | None
    signs_of_life: list[str] = []


class QuarantinePageOut(BaseModel):
    quarantine: list[QuarantinedOut]
    next: str | None


class ReleaseIn(Body):
    """Releases an event. `grant_days`: for so many days the source may state this kind about the person without another
    decision."""

    reason: Reason
    grant_days: int | None = Field(default=None, ge=1, le=GRANT_DAYS_MAX)


class DiscardIn(Body):
    """Discards an event. `refuted_by`: the event id of the `alive` fact that refutes a death.

    Without such a fact, two officers must discard a death from a source that does not belong to the person."""

    reason: Reason
    refuted_by: Id | None = None


class SettledOut(BaseModel):
    """The state of an event after the decision: still `open` while a second officer has to agree."""

    event_id: str
    state: str


# ── claimed places ──────────────────────────────────────────────────────────────────────────────────────────

CaseState = Literal["open", "confirmed", "objected", "silent", "vouched", "withdrawn"]


class PlaceCaseOut(BaseModel):
    """A place that `source` claims for a person.

    `event_id`: the first event of the claimed chain. `county_left`: the county that is asked. `owner`: the area whose
    officers decide now. `silent_on`: from this day on, silence vouches for the place. `state`: `vouched` by other
    facts or `withdrawn` by its source need no officer."""

    case_id: str
    person_id: str
    event_id: str
    source: str
    kind: str
    division: str
    division_name: str | None
    county_left: str
    owner: str
    group_id: str | None
    state: CaseState
    since: datetime
    deadline: datetime
    silent_on: date
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class PlacePageOut(BaseModel):
    places: list[PlaceCaseOut]
    next: str | None


class PlaceDecisionOut(BaseModel):
    case_id: str
    state: CaseState


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────

GroupState = Literal["open", "settling", "settled"]
GroupOutcome = Literal["release", "discard"]


class GroupOut(BaseModel):
    """All events of `source`, `kind` and `day` that wait because the source does not belong, or all places that it
    claimed. `total`: its rows. `waiting`: its open rows. `done`: rows that the officers' decision has settled.
    `outcome`, `grant_days`: the decision of `first_by`, effective from `decided_at`. `reason`: the text of the officer
    who decided last."""

    group_id: str
    source: str
    kind: str
    day: date
    holds: Literal["events", "places"]
    owner: str
    state: GroupState
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    first_by: str | None
    outcome: GroupOutcome | None
    grant_days: int | None
    reason: str | None
    decided_at: datetime | None
    settled_by: str | None
    settled_at: datetime | None
    total: int
    waiting: int
    done: int


class GroupPageOut(BaseModel):
    groups: list[GroupOut]
    next: str | None


class RowCountOut(BaseModel):
    """The rows of a group with one reason and state. `reason`: a code of the quarantine, or `place_claimed`."""

    reason: str
    state: str
    rows: int


class SampleRowOut(BaseModel):
    """A row of a group. `id`: of the waiting event, or of the case of a place."""

    id: str
    person_id: str
    kind: str
    division: str | None


class GroupDetailOut(GroupOut):
    counts: list[RowCountOut]
    sample: list[SampleRowOut]


class SettleIn(Body):
    """Settles a group. `grant_days`: for so many days the source may state this kind about these persons without
    another decision. It is permitted for a release of events only."""

    outcome: GroupOutcome
    reason: Reason
    grant_days: int | None = Field(default=None, ge=1, le=GRANT_DAYS_MAX)


class GroupDecisionOut(BaseModel):
    """The state of a group after the decision: still `open` while a second officer has to agree."""

    group_id: str
    state: GroupState
