"""The tables about waiting events: quarantine, cases of claimed places, counts, groups, hints."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

SCHEMA = {"schema": "ingestion"}


def uuid(**options: Any) -> Any:
    return Field(sa_type=UUID(as_uuid=False), **options)


def instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class QuarantineRow(SQLModel, table=True):
    """An accepted event that waits, or the part of one household member (`part_of` the list's event).

    `owner`: the area whose officers decide. `chain`: of an event that counted before. `first_by`, `first_outcome`: the
    decision of the first of two officers. `refuted_by`: the sign of life that refutes a death."""

    __tablename__: ClassVar[str] = "quarantine"
    __table_args__ = SCHEMA
    event_id: str = uuid(primary_key=True)
    person_id: str = uuid()
    source: str
    kind: str
    reason: str
    waits_for: str | None = uuid(default=None)
    owner: str
    state: str = "open"
    since: datetime = instant()
    deadline: datetime = instant()
    escalated_at: datetime | None = instant(default=None)
    settled_at: datetime | None = instant(default=None)
    settled_by: str | None = None
    note: str | None = None
    part_of: str | None = uuid(default=None)
    household: str | None = uuid(default=None)
    group_id: str | None = uuid(default=None)
    chain: str | None = uuid(default=None)
    first_by: str | None = None
    first_outcome: str | None = None
    refuted_by: str | None = uuid(default=None)


class PlaceCaseRow(SQLModel, table=True):
    """A claimed place that the county left is asked to confirm. `silent_on`: from this day on, silence vouches."""

    __tablename__: ClassVar[str] = "place_cases"
    __table_args__ = SCHEMA
    case_id: str = uuid(primary_key=True)
    person_id: str = uuid()
    chain: str = uuid()
    source: str
    kind: str
    division: str
    county_left: str
    owner: str
    group_id: str | None = uuid(default=None)
    state: str = "open"
    since: datetime = instant()
    deadline: datetime = instant()
    silent_on: date
    escalated_at: datetime | None = instant(default=None)
    settled_at: datetime | None = instant(default=None)
    settled_by: str | None = None
    note: str | None = None
    first_by: str | None = None


class ForeignCountRow(SQLModel, table=True):
    """The number of events of a source, kind and day that waited because the source did not belong. Claimed places
    are counted under the kind `claimed:…`."""

    __tablename__: ClassVar[str] = "foreign_counts"
    __table_args__ = SCHEMA
    source: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    events: int


class GroupRow(SQLModel, table=True):
    """Many events (or claimed places) of one source, kind and day as one case, which two officers settle as a whole.

    `outcome`, `grant_days`, `reason`: the decision of the first officer; from `decided_at` on, of both.
    `grant_days`: for so many days the release lets the source state this kind. `done`: rows that it has settled."""

    __tablename__: ClassVar[str] = "groups"
    __table_args__ = SCHEMA
    group_id: str = uuid(primary_key=True)
    source: str
    kind: str
    day: date
    holds: str
    owner: str
    state: str = "open"
    since: datetime = instant()
    deadline: datetime = instant()
    escalated_at: datetime | None = instant(default=None)
    first_by: str | None = None
    outcome: str | None = None
    grant_days: int | None = None
    reason: str | None = None
    decided_at: datetime | None = instant(default=None)
    settled_at: datetime | None = instant(default=None)
    settled_by: str | None = None
    done: int = 0


class HintRow(SQLModel, table=True):
    """A chain that counts as a hint until `ends_on`."""

    __tablename__: ClassVar[str] = "hints"
    __table_args__ = SCHEMA
    chain: str = uuid(primary_key=True)
    person_id: str = uuid()
    ends_on: date
