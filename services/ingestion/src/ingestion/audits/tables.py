"""The tables by which audit rows are found. Rows are only added, as in `audits`."""

from datetime import datetime

from shell.store import columns
from sqlalchemy import Index, PrimaryKeyConstraint
from sqlmodel import SQLModel


class AuditPersonRow(SQLModel, table=True):
    """A person of an audit row. `areas`: areas whose auditors see the row."""

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
    """An area whose auditors see an audit row: the area of the user, or one above it."""

    __tablename__ = "audit_areas"
    __table_args__ = (
        Index("audit_areas_of_actor", "area", "actor", "at", "audit_id"),
        {"schema": "ingestion"},
    )
    area: str = columns.text(key=True)
    actor: str = columns.text()
    at: datetime = columns.instant(key=True)
    audit_id: int = columns.bigint(key=True)
