"""The tables of completeness: counts per source and day, and alarms. They hold no personal data."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, DateTime, Identity
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class TallyRow(SQLModel, table=True):
    """The counts of one batch (list of `domain.completeness.Tally` as MessagePack), until `count_days` adds them up."""

    __tablename__: ClassVar[str] = "tallies"
    __table_args__ = _SCHEMA
    tally_id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = _instant()
    entries: bytes


class DayCountRow(SQLModel, table=True):
    """The accepted events of a source's day and kind. `digest`: XOR of the SHA-256 of the source's ids; null if
    unknown."""

    __tablename__: ClassVar[str] = "day_counts"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    events: int
    digest: bytes | None = None


class SourceDayRow(SQLModel, table=True):
    """A day that a source has reported or should have reported. `count`, `digest`, `told_at`: its report.
    `checked_at`: the last comparison; null when something has changed since. `gap_since`: an alarm is open."""

    __tablename__: ClassVar[str] = "source_days"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    count: int | None = None
    digest: str | None = None
    told_at: datetime | None = _instant(default=None)
    checked_at: datetime | None = _instant(default=None)
    gap_since: datetime | None = _instant(default=None)
    gap_state: str | None = None


class SourceKindRow(SQLModel, table=True):
    """The last arrival of a kind from a source. `silent_since`: an alarm is open."""

    __tablename__: ClassVar[str] = "source_kinds"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    heard_at: datetime | None = _instant(default=None)
    silent_since: datetime | None = _instant(default=None)
