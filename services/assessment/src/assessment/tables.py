"""What assessment stores. Ids are uuid in PostgreSQL and strings in Python."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Text
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

SCHEMA = "assessment"


def _id(*, primary: bool = False) -> Any:
    return Field(sa_column=Column(UUID(as_uuid=False), primary_key=primary, nullable=False))


def _text(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(Text, nullable=nullable))


def _instant(*, nullable: bool = True) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


class HeadRow(SQLModel, table=True):
    """The newest decision seen of every person; `digest` of what of it matters here, 0 for nothing."""

    __tablename__: ClassVar[str] = "heads"
    __table_args__ = {"schema": SCHEMA}

    person_id: str = _id(primary=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: int = Field(sa_column=Column(BigInteger, nullable=False))


class NeedRow(SQLModel, table=True):
    """Who is, was or will be entitled to an assessment, or had one; see `domain.Need`. `periods` is JSON."""

    __tablename__: ClassVar[str] = "needs"
    __table_args__ = {"schema": SCHEMA}

    person_id: str = _id(primary=True)
    periods: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    division: str | None = _text(nullable=True)
    died_on: date | None
    merged: bool
    correlation_id: str = _text()
    cases: int
    ability_version: int
    act_on: date | None


class CaseRow(SQLModel, table=True):
    """One assessment from request to signature. `form` is the JSON of what was found; `form_digest` tells repeats."""

    __tablename__: ClassVar[str] = "cases"
    __table_args__ = {"schema": SCHEMA}

    assessment_id: str = _id(primary=True)
    person_id: str = _id()
    state: str = _text()
    reason: str = _text()
    division: str | None = _text(nullable=True)
    requested_at: datetime = _instant(nullable=False)
    due_on: date | None
    correlation_id: str = _text()
    cancelled_for: str | None = _text(nullable=True)
    scale: str | None = _text(nullable=True)
    scale_version: str | None = _text(nullable=True)
    form: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    form_digest: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    assessed_on: date | None
    total: int | None
    level: int | None
    changed_by: str | None = _text(nullable=True)
    submitted_by: str | None = _text(nullable=True)
    signed_by: str | None = _text(nullable=True)
    signed_at: datetime | None = _instant()


class ResultRow(SQLModel, table=True):
    """A signed result; never changed. The period in force follows from all results of the person."""

    __tablename__: ClassVar[str] = "results"
    __table_args__ = {"schema": SCHEMA}

    assessment_id: str = _id(primary=True)
    person_id: str = _id()
    scale: str = _text()
    scale_version: str = _text()
    level: int
    valid_from: date
    valid_until: date
    recorded_at: datetime = _instant(nullable=False)
