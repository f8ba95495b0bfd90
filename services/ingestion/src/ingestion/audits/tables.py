"""The audit log and its two search tables. Rows are only added."""

from datetime import datetime

from shell.store import columns
from sqlalchemy import Index, PrimaryKeyConstraint
from sqlmodel import SQLModel


class AuditRow(SQLModel, table=True):
    """An access or a decision: the actor, the action, the persons and the reason. `division`: the actor's area."""

    __tablename__ = "audits"
    __table_args__ = (
        Index("audits_newest", "at", "audit_id"),
        Index("audits_of_actor", "actor", "at", "audit_id"),
        {"schema": "ingestion"},
    )
    audit_id: int = columns.identity(key=True)
    at: datetime = columns.instant()
    actor: str = columns.text()
    role: str = columns.text()
    action: str = columns.text()
    purpose: str = columns.text()
    cause: str = columns.text()
    fields: str = columns.text()
    person_ids: bytes = columns.blob()
    division: str | None = columns.text(null=True)


class AuditPersonRow(SQLModel, table=True):
    """A person of an audit row. `areas`: the areas whose auditors may see the row."""

    __tablename__ = "audit_persons"
    __table_args__ = (
        PrimaryKeyConstraint("person_id", "at", "audit_id", postgresql_include=["actor", "areas"]),
        {"schema": "ingestion"},
    )
    person_id: str = columns.uuid(key=True)
    at: datetime = columns.instant(key=True)
    audit_id: int = columns.bigint(key=True)
    actor: str = columns.text()
    areas: list[str] = columns.texts()


class AuditAreaRow(SQLModel, table=True):
    """An area whose auditors may see an audit row: the actor's area, or one above it."""

    __tablename__ = "audit_areas"
    __table_args__ = (
        Index("audit_areas_of_actor", "area", "actor", "at", "audit_id"),
        {"schema": "ingestion"},
    )
    area: str = columns.text(key=True)
    actor: str = columns.text()
    at: datetime = columns.instant(key=True)
    audit_id: int = columns.bigint(key=True)
