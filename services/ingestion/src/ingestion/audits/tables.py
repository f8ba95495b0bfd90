"""By what audit rows are found. Rows are only ever added, as those of `audits`."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ARRAY, BigInteger, DateTime, Text
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


class AuditPersonRow(SQLModel, table=True):
    """A person whom an audit row is about. `areas`: whose auditors see the row."""

    __tablename__: ClassVar[str] = "audit_persons"
    __table_args__ = _SCHEMA
    person_id: str = Field(sa_type=UUID(as_uuid=False), primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    audit_id: int = Field(sa_type=BigInteger, primary_key=True)
    actor: str
    areas: list[str] = Field(sa_type=ARRAY(Text))


class AuditAreaRow(SQLModel, table=True):
    """An area whose auditors see an audit row: the actor's, or one above it."""

    __tablename__: ClassVar[str] = "audit_areas"
    __table_args__ = _SCHEMA
    area: str = Field(primary_key=True)
    actor: str
    at: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    audit_id: int = Field(sa_type=BigInteger, primary_key=True)
