"""The tables of the register of sources. They hold no personal data."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class RegistryRow(SQLModel, table=True):
    """A version of a source's entry (`shapes.Entry` as JSON), in force from `since` on. Rows are only added."""

    __tablename__: ClassVar[str] = "registry"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    since: datetime = _instant()
    entry: bytes
    decided_by: str
    reason: str


class SourceTopicRow(SQLModel, table=True):
    """A source's own topic. While `opened_at` is null, the next try is at `try_at`. `tries`: failed tries so far."""

    __tablename__: ClassVar[str] = "source_topics"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    tries: int
    try_at: datetime = _instant()
    problem: str | None = None
    opened_at: datetime | None = _instant(default=None)


class CoverageRow(SQLModel, table=True):
    """The coverage of a division as declared last. `said`: the exact JSON of that `CoverageDeclared`, which is the head
    of the topic."""

    __tablename__: ClassVar[str] = "coverages"
    __table_args__ = _SCHEMA
    division: str = Field(primary_key=True)
    version: int
    said: bytes


class QuotaRow(SQLModel, table=True):
    """The events that a source may still send, as two buckets that refill (`register.domain`). Negative: a debt."""

    __tablename__: ClassVar[str] = "quotas"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    minute_left: float = Field(sa_type=DOUBLE_PRECISION)
    day_left: float = Field(sa_type=DOUBLE_PRECISION)
    at: datetime = _instant()


class SignatureRow(SQLModel, table=True):
    """A signed request that is not accepted a second time."""

    __tablename__: ClassVar[str] = "signatures"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    at: datetime = _instant()
