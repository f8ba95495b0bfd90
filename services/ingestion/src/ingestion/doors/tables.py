"""The tables of ingestion about its Kafka topics. No personal data."""

from datetime import date, datetime

from shell.store import columns
from sqlmodel import SQLModel


class SourceTopicRow(SQLModel, table=True):
    """A source's own topic. Until `opened_at` is set, it is tried again at `try_at`. `tries`: failed attempts."""

    __tablename__ = "source_topics"
    __table_args__ = {"schema": "ingestion"}
    source: str = columns.text(key=True)
    tries: int = columns.integer()
    try_at: datetime = columns.instant()
    problem: str | None = columns.text(null=True)
    opened_at: datetime | None = columns.instant(null=True)


class UnverifiedRow(SQLModel, table=True):
    """Kafka records of unknown senders, by the day of reading. `source`: the registered source that they name, or
    `unknown`; it need not have sent them. `parked`: the number of stored `records`."""

    __tablename__ = "unverified"
    __table_args__ = {"schema": "ingestion"}
    day: date = columns.day(key=True)
    topic: str = columns.text(key=True)
    source: str = columns.text(key=True)
    reason: str = columns.text(key=True)
    records: int = columns.bigint()
    parked: int = columns.bigint()
