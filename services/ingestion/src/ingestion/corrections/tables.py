"""The table of correction requests."""

from datetime import datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class CorrectionRow(SQLModel, table=True):
    """A request to a source to correct an event.

    `target`: whether the event was rejected, waiting or applied when the source was asked. `code`: the problem, a
    published code. `pointer`: its place in the event. `rule`: the cause of the request
    (`recording.correction_requests.Rule`). `looked_at`: the last check for an answer."""

    __tablename__ = "corrections"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (answered_at IS NULL)"),
        CheckConstraint("rule IN ('officer', 'quarantine_overdue', 'standing')"),
        CheckConstraint("state IN ('open', 'answered', 'withdrawn')"),
        CheckConstraint("target IN ('rejected', 'waiting', 'applied')"),
        Index("corrections_of_source", "source", "correction_id"),
        Index("corrections_one_open", "event_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("corrections_to_look_at", "looked_at", postgresql_where=text("state = 'open'")),
        {"schema": "ingestion"},
    )
    correction_id: str = columns.uuid(key=True)
    source: str = columns.text()
    area: str = columns.text()
    event_id: str = columns.uuid()
    kind: str | None = columns.text(null=True)
    target: str = columns.text()
    code: str = columns.text()
    pointer: str = columns.text()
    reason: str = columns.text()
    rule: str = columns.text()
    asked_by: str = columns.text()
    asked_at: datetime = columns.instant()
    deadline: datetime = columns.instant()
    looked_at: datetime = columns.instant()
    state: str = columns.text(default="'open'")
    answered_at: datetime | None = columns.instant(null=True)
    answered_by: str | None = columns.uuid(null=True)
