"""The tables of supervision. Days, levels and classes of a person are one row, so that a decision is one write."""

from datetime import date, datetime
from typing import Any

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class StepRow(SQLModel, table=True):
    """One event in the chain of one pushed change. A state that unites several changes has a row for each;
    `led_by`: the change whose id the later events carry; None: this change itself."""

    __tablename__ = "steps"
    __table_args__ = (
        Index("steps_at", "at", postgresql_using="brin"),
        Index("steps_person", "person_id"),
        {"schema": "supervision"},
    )

    correlation_id: str = columns.uuid(key=True)
    event_id: str = columns.uuid(key=True)
    causation_id: str | None = columns.uuid(null=True)
    led_by: str | None = columns.uuid(null=True)
    person_id: str | None = columns.uuid(null=True)
    at: datetime = columns.instant()
    version: int | None = columns.bigint(null=True)  # of a state
    service: str = columns.text()
    what: str = columns.text()


class PersonRow(SQLModel, table=True):
    """The newest decision about one person: place, death, survivor and the days with visiting care.

    `division`: the residence, else the hukou. `visiting_before`: days with visiting care by older decisions, until the
    day of the newer one.
    """

    __tablename__ = "people"
    __table_args__ = (
        Index("people_division", "division"),
        Index("people_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        {"schema": "supervision"},
    )

    person_id: str = columns.uuid(key=True)
    version: int = columns.bigint()
    decided_at: datetime = columns.instant()
    division: str | None = columns.text(null=True)
    died_on: date | None = columns.day(null=True)
    merged_into: str | None = columns.uuid(null=True)
    visiting_care: Any = columns.periods()
    visiting_before: Any = columns.periods(default="'{}'")


class DueMonthsRow(SQLModel, table=True):
    """The months for which a subsidy is due to a person (not held, not barred), as days from the first to the last."""

    __tablename__ = "due_months"
    __table_args__ = (
        CheckConstraint("NOT isempty(months)"),
        {"schema": "supervision"},
    )

    person_id: str = columns.uuid(key=True)
    item: str = columns.text(key=True)
    jurisdiction: str = columns.text(key=True)
    months: Any = columns.periods()


class AbilityRow(SQLModel, table=True):
    """The ability level of a person by day (0 intact … 4 complete loss)."""

    __tablename__ = "abilities"
    __table_args__ = {"schema": "supervision"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.bigint()
    level_0: Any = columns.periods()
    level_1: Any = columns.periods()
    level_2: Any = columns.periods()
    level_3: Any = columns.periods()
    level_4: Any = columns.periods()


class TaskRow(SQLModel, table=True):
    """The state of one visit, and the findings about it. `blocks`, `warnings`, `waived`: check ids,
    separated by commas. A check that is dismissed moves from `blocks` to `waived`. `judgements`: how often a judgement
    was stored."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("(verdict IS NULL) = (checked_out_at IS NULL)"),
        CheckConstraint("verdict IN ('waiting', 'verified', 'disputed')"),
        Index("tasks_judged", "person_id", postgresql_where=text("verdict IS NOT NULL")),
        Index("tasks_person", "person_id"),
        Index("tasks_unplaced", "task_id", postgresql_where=text("state = 'unplaced'")),
        Index("tasks_waiting", "at", postgresql_where=text("verdict = 'waiting'")),
        Index(
            "tasks_worker", "provider", "worker", "checked_in_at", postgresql_where=text("checked_out_at IS NOT NULL")
        ),
        {"schema": "supervision"},
    )

    task_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    item: str = columns.text()
    division: str = columns.text()
    provider: str | None = columns.text(null=True)
    window_from: date = columns.day()
    window_to: date = columns.day()
    state: str = columns.text()
    at: datetime = columns.instant()
    checked_in_at: datetime | None = columns.instant(null=True)
    checked_out_at: datetime | None = columns.instant(null=True)
    worker: str | None = columns.text(null=True)
    outcome: str | None = columns.text(null=True)
    reason: str | None = columns.text(null=True)
    correlation_id: str | None = columns.uuid(null=True)
    verdict: str | None = columns.text(null=True)
    blocks: str = columns.text(default="''")
    warnings: str = columns.text(default="''")
    waived: str = columns.text(default="''")
    judgements: int = columns.integer(default="0")


class AlertRow(SQLModel, table=True):
    """A finding as a case (states: see `domain.alerts`). `other_division`: the second area of a case between two."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("length(decision) <= 2000"),
        CheckConstraint("length(explanation) <= 2000"),
        CheckConstraint("outcome IN ('confirmed', 'dismissed')"),
        CheckConstraint("severity IN ('block', 'warn')"),
        CheckConstraint("state IN ('raised', 'explained', 'confirmed', 'dismissed', 'closed')"),
        Index("alerts_open", "raised_at", "alert_id", postgresql_where=text("state <> 'closed'")),
        Index("alerts_subject", "subject"),
        {"schema": "supervision"},
    )

    alert_id: str = columns.uuid(key=True)
    check_id: str = columns.text()
    severity: str = columns.text()
    state: str = columns.text()
    subject: str = columns.text()
    person_id: str | None = columns.uuid(null=True)
    provider: str | None = columns.text(null=True)
    division: str | None = columns.text(null=True)
    correlation_id: str | None = columns.uuid(null=True)
    raised_at: datetime = columns.instant()
    explain_by: datetime = columns.instant()
    decide_by: datetime = columns.instant()
    close_by: datetime = columns.instant()
    explanation: str | None = columns.text(null=True)
    explained_by: str | None = columns.text(null=True)
    outcome: str | None = columns.text(null=True)
    decision: str | None = columns.text(null=True)
    decided_by: str | None = columns.text(null=True)
    closed_at: datetime | None = columns.instant(null=True)
    other_division: str | None = columns.text(null=True)


class MatterRow(SQLModel, table=True):
    """An open matter of a person that becomes an alert at `due_at`; see `domain.matters.Matter`."""

    __tablename__ = "matters"
    __table_args__ = (
        Index("matters_due", "due_at", postgresql_where=text("NOT raised")),
        {"schema": "supervision"},
    )

    person_id: str = columns.uuid(key=True)
    check_id: str = columns.text(key=True)
    subject: str = columns.uuid()
    since: datetime = columns.instant()
    due_at: datetime = columns.instant()
    division: str = columns.text()
    correlation_id: str | None = columns.uuid(null=True)
    raised: bool = columns.boolean(default="false")


class MoveGapRow(SQLModel, table=True):
    """The gap of a case of the check `move_gap` (see the event `MoveGap`). A month is stored as its first day."""

    __tablename__ = "move_gaps"
    __table_args__ = (
        CheckConstraint("until_month > first_month"),
        Index("move_gaps_person", "person_id"),
        {"schema": "supervision"},
    )

    alert_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    item: str = columns.text()
    old: str = columns.text()
    left_division: str = columns.text()
    moved_to: str = columns.text()
    moved_on: date = columns.day()
    first_month: date = columns.day()
    until_month: date | None = columns.day(null=True)
    new: str | None = columns.text(null=True)
    old_policy: str = columns.text()
    why: str = columns.text()


class ClauseRow(SQLModel, table=True):
    """The clauses of the lists in force: one row per version of an item, as published."""

    __tablename__ = "clauses"
    __table_args__ = {"schema": "supervision"}

    jurisdiction: str = columns.text(key=True)
    item: str = columns.text(key=True)
    valid_from: date = columns.day(key=True)
    valid_to: date | None = columns.day(null=True)
    item_title: str = columns.text()
    title: str = columns.text()
    issuer: str = columns.text()
    issued_on: date = columns.day()
    locator: str = columns.text()
    status: str = columns.text()
