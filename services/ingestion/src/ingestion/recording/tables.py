"""The tables about waiting events: quarantine, cases of claimed places, counts, groups, hints."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel


class QuarantineRow(SQLModel, table=True):
    """An accepted event that waits, or the part of one household member (`part_of` the list's event).

    `owner`: the area whose officers decide. `chain`: of an event that counted before. `first_by`, `first_outcome`,
    `first_grant_days`: the decision of the first of two officers. `refuted_by`: the sign of life that refutes a
    death."""

    __tablename__ = "quarantine"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (settled_at IS NULL)"),
        CheckConstraint("(part_of IS NULL) = (household IS NULL)"),
        CheckConstraint("state IN ('open', 'released', 'discarded', 'withdrawn')"),
        Index(
            "quarantine_deaths", "person_id", "source", postgresql_where=text("kind = 'death' AND state = 'discarded'")
        ),
        Index(
            "quarantine_followers",
            "waits_for",
            postgresql_where=text("waits_for IS NOT NULL AND state IN ('open', 'withdrawn')"),
        ),
        Index("quarantine_of_group", "group_id", "event_id", postgresql_where=text("group_id IS NOT NULL")),
        Index("quarantine_of_owner", "owner", "event_id", postgresql_where=text("state = 'open' AND group_id IS NULL")),
        Index("quarantine_open", "person_id", postgresql_where=text("state IN ('open', 'withdrawn')")),
        Index("quarantine_overdue", "deadline", postgresql_where=text("state = 'open'")),
        Index("quarantine_unsettled", "source", postgresql_where=text("state <> 'released'")),
        {"schema": "ingestion"},
    )
    event_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    source: str = columns.text()
    kind: str = columns.text()
    reason: str = columns.text()
    waits_for: str | None = columns.uuid(null=True)
    owner: str = columns.text()
    state: str = columns.text(default="'open'")
    since: datetime = columns.instant()
    deadline: datetime = columns.instant()
    escalated_at: datetime | None = columns.instant(null=True)
    settled_at: datetime | None = columns.instant(null=True)
    settled_by: str | None = columns.text(null=True)
    note: str | None = columns.text(null=True)
    part_of: str | None = columns.uuid(null=True, references="ingestion.received.event_id")
    household: str | None = columns.uuid(null=True)
    group_id: str | None = columns.uuid(null=True)
    chain: str | None = columns.uuid(null=True)
    first_by: str | None = columns.text(null=True)
    first_outcome: str | None = columns.text(null=True)
    first_grant_days: int | None = columns.integer(null=True)
    refuted_by: str | None = columns.uuid(null=True)


class PlaceCaseRow(SQLModel, table=True):
    """A claimed place that the county left is asked to confirm. `silent_on`: from this day on, silence vouches."""

    __tablename__ = "place_cases"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (settled_at IS NULL)"),
        CheckConstraint("state IN ('open', 'confirmed', 'objected', 'silent', 'vouched', 'withdrawn')"),
        Index("place_cases_of_group", "group_id", "case_id", postgresql_where=text("group_id IS NOT NULL")),
        Index("place_cases_of_owner", "state", "owner", "case_id"),
        Index("place_cases_of_person", "person_id", postgresql_where=text("state = 'open'")),
        Index("place_cases_overdue", "deadline", postgresql_where=text("state = 'open'")),
        Index("place_cases_silent", "silent_on", postgresql_where=text("state = 'open'")),
        {"schema": "ingestion"},
    )
    case_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    chain: str = columns.uuid()
    source: str = columns.text()
    kind: str = columns.text()
    division: str = columns.text()
    county_left: str = columns.text()
    owner: str = columns.text()
    group_id: str | None = columns.uuid(null=True)
    state: str = columns.text(default="'open'")
    since: datetime = columns.instant()
    deadline: datetime = columns.instant()
    silent_on: date = columns.day()
    escalated_at: datetime | None = columns.instant(null=True)
    settled_at: datetime | None = columns.instant(null=True)
    settled_by: str | None = columns.text(null=True)
    note: str | None = columns.text(null=True)


class ForeignCountRow(SQLModel, table=True):
    """The number of events of a source, kind and day that waited because the source did not belong. Claimed places
    are counted under the kind `claimed:…`."""

    __tablename__ = "foreign_counts"
    __table_args__ = (
        CheckConstraint("events > 0"),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    kind: str = columns.text(key=True)
    day: date = columns.day(key=True)
    events: int = columns.integer()


class GroupRow(SQLModel, table=True):
    """Many events (or claimed places) of one source, kind and day as one case, which two officers settle as a whole.

    `outcome`, `grant_days`: the decision of the first officer; from `decided_at` on, of both. `reason`: the text of the
    officer who decided last.
    `grant_days`: for so many days the release lets the source state this kind. `done`: rows that it has settled."""

    __tablename__ = "groups"
    __table_args__ = (
        CheckConstraint("holds IN ('events', 'places')"),
        CheckConstraint("outcome IN ('release', 'discard')"),
        UniqueConstraint("source", "kind", "day", "holds"),
        CheckConstraint("state IN ('open', 'settling', 'settled')"),
        Index("groups_open", "deadline", postgresql_where=text("state <> 'settled'")),
        {"schema": "ingestion"},
    )
    group_id: str = columns.uuid(key=True)
    source: str = columns.text()
    kind: str = columns.text()
    day: date = columns.day()
    holds: str = columns.text()
    owner: str = columns.text()
    state: str = columns.text(default="'open'")
    since: datetime = columns.instant()
    deadline: datetime = columns.instant()
    escalated_at: datetime | None = columns.instant(null=True)
    first_by: str | None = columns.text(null=True)
    outcome: str | None = columns.text(null=True)
    grant_days: int | None = columns.integer(null=True)
    reason: str | None = columns.text(null=True)
    decided_at: datetime | None = columns.instant(null=True)
    settled_at: datetime | None = columns.instant(null=True)
    settled_by: str | None = columns.text(null=True)
    done: int = columns.integer(default="0")


class HintRow(SQLModel, table=True):
    """A chain that counts as a hint until `ends_on`."""

    __tablename__ = "hints"
    __table_args__ = (
        Index("hints_ending", "ends_on"),
        {"schema": "ingestion"},
    )
    chain: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    ends_on: date = columns.day()
