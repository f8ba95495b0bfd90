"""The tables of the register of sources. They hold no personal data."""

from datetime import datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel


class RegistryRow(SQLModel, table=True):
    """A version of a source's entry (`shapes.Entry` as JSON), in force from `since` on. Rows are only added."""

    __tablename__ = "registry"
    __table_args__ = (
        CheckConstraint("version > 0"),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    version: int = columns.integer(key=True)
    since: datetime = columns.instant()
    entry: bytes = columns.blob()
    decided_by: str = columns.text()
    reason: str = columns.text()


class SourceTopicRow(SQLModel, table=True):
    """A source's own topic. While `opened_at` is null, the next try is at `try_at`. `tries`: failed tries so far."""

    __tablename__ = "source_topics"
    __table_args__ = {"schema": "ingestion"}
    source: str = columns.text(key=True)
    tries: int = columns.integer()
    try_at: datetime = columns.instant()
    problem: str | None = columns.text(null=True)
    opened_at: datetime | None = columns.instant(null=True)


class CoverageRow(SQLModel, table=True):
    """The coverage of a division as declared last. `said`: the exact JSON of that `CoverageDeclared`, which is the
    newest record of the division on the topic."""

    __tablename__ = "coverages"
    __table_args__ = {"schema": "ingestion"}
    division: str = columns.text(key=True)
    version: int = columns.integer()
    said: bytes = columns.blob()


class QuotaRow(SQLModel, table=True):
    """The events that a source may still send, as two buckets that refill (`register.domain`). Negative: a debt."""

    __tablename__ = "quotas"
    __table_args__ = {"schema": "ingestion"}
    source: str = columns.text(key=True)
    minute_left: float = columns.double()
    day_left: float = columns.double()
    at: datetime = columns.instant()


class SignatureRow(SQLModel, table=True):
    """A signed request that is not accepted a second time."""

    __tablename__ = "signatures"
    __table_args__ = (
        Index("signatures_at", "at"),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    nonce: str = columns.text(key=True)
    at: datetime = columns.instant()
