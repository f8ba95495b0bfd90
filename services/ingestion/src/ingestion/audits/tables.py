"""The audit log and its two search tables. Rows are only added."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Text
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


class AuditRow(SQLModel, table=True):
    """An access or a decision: the actor, the action, the persons and the reason. `division`: the actor's area."""

    __tablename__: ClassVar[str] = "audits"
    __table_args__ = _SCHEMA
    audit_id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = Field(sa_type=DateTime(timezone=True))
    actor: str
    role: str
    action: str
    purpose: str
    cause: str
    fields: str
    person_ids: bytes
    division: str | None = None


class AuditPersonRow(SQLModel, table=True):
    """A person of an audit row. `areas`: the areas whose auditors may see the row."""

    __tablename__: ClassVar[str] = "audit_persons"
    __table_args__ = _SCHEMA
    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    audit_id: int = Field(sa_type=BigInteger, primary_key=True)
    actor: str
    areas: list[str] = Field(sa_type=ARRAY(Text))


class AuditAreaRow(SQLModel, table=True):
    """An area whose auditors may see an audit row: the actor's area, or one above it."""

    __tablename__: ClassVar[str] = "audit_areas"
    __table_args__ = _SCHEMA
    area: str = Field(primary_key=True)
    actor: str
    at: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    audit_id: int = Field(sa_type=BigInteger, primary_key=True)
