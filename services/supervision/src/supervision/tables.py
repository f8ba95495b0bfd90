"""What supervision stores. Days, levels and classes of one person are one row, so that a decision is one write."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.dialects.postgresql import DATEMULTIRANGE
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlmodel import Field, SQLModel


def _uuid(*, primary_key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_column=Column(PgUuid(as_uuid=False), primary_key=primary_key, nullable=nullable))


def _instant(*, nullable: bool = True) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


def _periods() -> Any:
    return Field(sa_column=Column(DATEMULTIRANGE, nullable=False))


def _text(*, nullable: bool = True) -> Any:
    return Field(sa_column=Column(Text, nullable=nullable))


class StepRow(SQLModel, table=True):
    """One event in the chain of one pushed change. A state that unites several changes has a row for each;
    `led_by` is then the change under whose id the consequences travel on."""

    __tablename__ = "steps"
    __table_args__ = {"schema": "supervision"}

    correlation_id: str = _uuid(primary_key=True)
    event_id: str = _uuid(primary_key=True)
    causation_id: str | None = _uuid(nullable=True)
    led_by: str | None = _uuid(nullable=True)
    person_id: str | None = _uuid(nullable=True)
    at: datetime = _instant(nullable=False)
    version: int | None = Field(sa_column=Column(BigInteger, nullable=True))  # of a state
    service: str = _text(nullable=False)
    what: str = _text(nullable=False)


class PersonRow(SQLModel, table=True):
    """The newest decision about one person: the days with visiting care. `visiting_before`: days with visiting care
    by older decisions, until the day of the newer one."""

    __tablename__ = "people"
    __table_args__ = {"schema": "supervision"}

    person_id: str = _uuid(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    decided_at: datetime = _instant(nullable=False)
    division: str | None = _text()
    died_on: date | None = None
    merged_into: str | None = _uuid(nullable=True)
    visiting_care: Any = _periods()
    visiting_before: Any = _periods()


class DueMonthsRow(SQLModel, table=True):
    """The months for which a subsidy is due to a person (not held, not barred), as days from the first to the last."""

    __tablename__ = "due_months"
    __table_args__ = {"schema": "supervision"}

    person_id: str = _uuid(primary_key=True)
    item: str = Field(primary_key=True)
    jurisdiction: str = Field(primary_key=True)
    months: Any = _periods()


class AbilityRow(SQLModel, table=True):
    """On which days a person's ability was at which level (0 intact … 4 complete loss)."""

    __tablename__ = "abilities"
    __table_args__ = {"schema": "supervision"}

    person_id: str = _uuid(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    level_0: Any = _periods()
    level_1: Any = _periods()
    level_2: Any = _periods()
    level_3: Any = _periods()
    level_4: Any = _periods()


class TaskRow(SQLModel, table=True):
    """One visit as far as it has come, and what was found about it. `blocks`, `warnings`, `waived`: check ids,
    separated by commas."""

    __tablename__ = "tasks"
    __table_args__ = {"schema": "supervision"}

    task_id: str = _uuid(primary_key=True)
    person_id: str = _uuid()
    item: str = _text(nullable=False)
    division: str = _text(nullable=False)
    provider: str | None = _text()
    window_from: date
    window_to: date
    state: str = _text(nullable=False)
    at: datetime = _instant(nullable=False)
    checked_in_at: datetime | None = _instant()
    checked_out_at: datetime | None = _instant()
    worker: str | None = _text()
    outcome: str | None = _text()
    reason: str | None = _text()
    correlation_id: str | None = _uuid(nullable=True)
    verdict: str | None = _text()
    blocks: str = _text(nullable=False)
    warnings: str = _text(nullable=False)
    waived: str = _text(nullable=False)


class AlertRow(SQLModel, table=True):
    """A finding as a case: raised → explained → confirmed | dismissed → closed. `other_division`: the second area of
    a case between two."""

    __tablename__ = "alerts"
    __table_args__ = {"schema": "supervision"}

    alert_id: str = _uuid(primary_key=True)
    check_id: str = _text(nullable=False)
    severity: str = _text(nullable=False)
    state: str = _text(nullable=False)
    subject: str = _text(nullable=False)
    person_id: str | None = _uuid(nullable=True)
    provider: str | None = _text()
    division: str | None = _text()
    correlation_id: str | None = _uuid(nullable=True)
    raised_at: datetime = _instant(nullable=False)
    explain_by: datetime = _instant(nullable=False)
    decide_by: datetime = _instant(nullable=False)
    close_by: datetime = _instant(nullable=False)
    explanation: str | None = _text()
    explained_by: str | None = _text()
    outcome: str | None = _text()
    decision: str | None = _text()
    decided_by: str | None = _text()
    closed_at: datetime | None = _instant()
    other_division: str | None = _text()


class MatterRow(SQLModel, table=True):
    """An open matter of a person that becomes an alert at `due_at`; see `domain.matters.Matter`."""

    __tablename__ = "matters"
    __table_args__ = {"schema": "supervision"}

    person_id: str = _uuid(primary_key=True)
    check_id: str = Field(primary_key=True)
    subject: str = _uuid()
    since: datetime = _instant(nullable=False)
    due_at: datetime = _instant(nullable=False)
    division: str = _text(nullable=False)
    correlation_id: str | None = _uuid(nullable=True)
    raised: bool


class MoveGapRow(SQLModel, table=True):
    """What a case of the check `move_gap` is about (see the event `MoveGap`); months by their first day."""

    __tablename__ = "move_gaps"
    __table_args__ = {"schema": "supervision"}

    alert_id: str = _uuid(primary_key=True)
    person_id: str = _uuid()
    item: str = _text(nullable=False)
    old: str = _text(nullable=False)
    left_division: str = _text(nullable=False)
    moved_to: str = _text(nullable=False)
    moved_on: date
    first_month: date
    until_month: date | None = None
    new: str | None = _text()
    old_policy: str = _text(nullable=False)
    why: str = _text(nullable=False)


class ClauseRow(SQLModel, table=True):
    """Where a list in force says something: one row per version of an item, as published."""

    __tablename__ = "clauses"
    __table_args__ = {"schema": "supervision"}

    jurisdiction: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    valid_from: date = Field(primary_key=True)
    valid_to: date | None = None
    item_title: str = _text(nullable=False)
    title: str = _text(nullable=False)
    issuer: str = _text(nullable=False)
    issued_on: date
    locator: str = _text(nullable=False)
    status: str = _text(nullable=False)
