"""The tables of completeness: counts per source and day, and alarms. They hold no personal data."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class TallyRow(SQLModel, table=True):
    """The counts of one batch (list of `domain.completeness.Tally` as MessagePack), until `count_days` adds them up."""

    __tablename__ = "tallies"
    __table_args__ = {"schema": "ingestion"}
    tally_id: int = columns.identity(key=True)
    at: datetime = columns.instant()
    entries: bytes = columns.blob()


class DayCountRow(SQLModel, table=True):
    """The number of accepted events of one source, day and kind. `digest`: XOR of the SHA-256 of their ids; null if
    unknown."""

    __tablename__ = "day_counts"
    __table_args__ = (
        CheckConstraint("events > 0"),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    day: date = columns.day(key=True)
    kind: str = columns.text(key=True)
    events: int = columns.integer()
    digest: bytes | None = columns.blob(null=True)


class SourceDayRow(SQLModel, table=True):
    """A day that a source has reported or should have reported. `count`, `digest`, `told_at`: its report.
    `checked_at`: the last comparison; null after a new event or report. `gap_since`: start of the open alarm."""

    __tablename__ = "source_days"
    __table_args__ = (
        CheckConstraint("(gap_since IS NULL) = (gap_state IS NULL)"),
        CheckConstraint("((told_at IS NULL) = (count IS NULL)) AND ((count IS NULL) = (digest IS NULL))"),
        CheckConstraint("count >= 0"),
        Index("source_days_gaps", "source", "day", postgresql_where=text("gap_since IS NOT NULL")),
        Index("source_days_to_compare", "day", postgresql_where=text("checked_at IS NULL")),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    day: date = columns.day(key=True)
    count: int | None = columns.integer(null=True)
    digest: str | None = columns.text(null=True)
    told_at: datetime | None = columns.instant(null=True)
    checked_at: datetime | None = columns.instant(null=True)
    gap_since: datetime | None = columns.instant(null=True)
    gap_state: str | None = columns.text(null=True)


class SourceKindRow(SQLModel, table=True):
    """The last arrival of a kind from a source. `silent_since`: start of the open alarm."""

    __tablename__ = "source_kinds"
    __table_args__ = {"schema": "ingestion"}
    source: str = columns.text(key=True)
    kind: str = columns.text(key=True)
    heard_at: datetime | None = columns.instant(null=True)
    silent_since: datetime | None = columns.instant(null=True)
