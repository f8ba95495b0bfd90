"""The tables of assessment. Ids are uuid in PostgreSQL and strings in Python."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class HeadRow(SQLModel, table=True):
    """The newest decision per person. `digest`: of its parts that concern assessment; 0 if none does."""

    __tablename__ = "heads"
    __table_args__ = {"schema": "assessment"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.bigint()
    digest: int = columns.bigint()


class NeedRow(SQLModel, table=True):
    """The need of a person for an assessment, past, present or future; see `domain.Need`. `periods` is JSON."""

    __tablename__ = "needs"
    __table_args__ = (
        Index("needs_act_on", "act_on", postgresql_where=text("act_on IS NOT NULL")),
        {"schema": "assessment"},
    )

    person_id: str = columns.uuid(key=True)
    periods: bytes = columns.blob()
    division: str | None = columns.text(null=True)
    died_on: date | None = columns.day(null=True)
    merged: bool = columns.boolean()
    correlation_id: str = columns.text()
    cases: int = columns.integer()
    ability_version: int = columns.integer()
    act_on: date | None = columns.day(null=True)


class CaseRow(SQLModel, table=True):
    """One assessment from request to signature or cancellation. `form`: JSON of the items, assessors and findings.

    `scored_at`: when the first form was stored. `form_at`: when this form was stored, which may have replaced others.
    """

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint("signed_by <> submitted_by"),
        CheckConstraint("(state = 'signed') = (signed_by IS NOT NULL)"),
        CheckConstraint(
            "state NOT IN ('scored', 'signed') OR (form IS NOT NULL AND level IS NOT NULL AND submitted_by IS NOT NULL)"
        ),
        CheckConstraint("(form IS NULL) = (scored_at IS NULL)"),
        CheckConstraint("(form IS NULL) = (form_at IS NULL)"),
        CheckConstraint("(state = 'cancelled') = (cancelled_at IS NOT NULL)"),
        CheckConstraint("level BETWEEN 0 AND 4"),
        CheckConstraint("reason IN ('first', 'regular', 'incident', 'dispute', 'other')"),
        CheckConstraint("state IN ('requested', 'scored', 'signed', 'cancelled')"),
        Index("cases_of_person", "person_id"),
        Index("cases_one_open", "person_id", unique=True, postgresql_where=text("state IN ('requested', 'scored')")),
        {"schema": "assessment"},
    )

    assessment_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    state: str = columns.text()
    reason: str = columns.text()
    division: str | None = columns.text(null=True)
    requested_at: datetime = columns.instant()
    due_on: date | None = columns.day(null=True)
    correlation_id: str = columns.text()
    cancelled_for: str | None = columns.text(null=True)
    scale: str | None = columns.text(null=True)
    scale_version: str | None = columns.text(null=True)
    form: bytes | None = columns.blob(null=True)
    form_digest: bytes | None = columns.blob(null=True)
    assessed_on: date | None = columns.day(null=True)
    total: int | None = columns.integer(null=True)
    level: int | None = columns.integer(null=True)
    changed_by: str | None = columns.text(null=True)
    submitted_by: str | None = columns.text(null=True)
    signed_by: str | None = columns.text(null=True)
    signed_at: datetime | None = columns.instant(null=True)
    scored_at: datetime | None = columns.instant(null=True)
    form_at: datetime | None = columns.instant(null=True)
    cancelled_at: datetime | None = columns.instant(null=True)


class CaseFormRow(SQLModel, table=True):
    """A form that was ever stored for an assessment, also if it was replaced later. It detects a repeated form."""

    __tablename__ = "case_forms"
    __table_args__ = {"schema": "assessment"}

    assessment_id: str = columns.uuid(key=True, references="assessment.cases.assessment_id")
    form_digest: bytes = columns.blob(key=True)


class ResultRow(SQLModel, table=True):
    """A signed result; never changed. The period in force follows from all results of the person."""

    __tablename__ = "results"
    __table_args__ = (
        CheckConstraint("valid_from < valid_until"),
        CheckConstraint("level BETWEEN 0 AND 4"),
        Index("results_of_person", "person_id"),
        {"schema": "assessment"},
    )

    assessment_id: str = columns.uuid(key=True, references="assessment.cases.assessment_id")
    person_id: str = columns.uuid()
    scale: str = columns.text()
    scale_version: str = columns.text()
    level: int = columns.integer()
    valid_from: date = columns.day()
    valid_until: date = columns.day()
    recorded_at: datetime = columns.instant()
