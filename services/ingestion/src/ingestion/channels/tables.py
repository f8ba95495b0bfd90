"""The tables of ingestion about its Kafka topics. No personal data."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class SourceTopicRow(SQLModel, table=True):
    """A source's own topic. It waits for `try_at` while `opened_at` is empty; `tries`: failed ones so far."""

    __tablename__: ClassVar[str] = "source_topics"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    tries: int
    try_at: datetime = _instant()
    problem: str | None = None
    opened_at: datetime | None = _instant(default=None)


class UnverifiedRow(SQLModel, table=True):
    """Kafka records whose sender is unknown, by the day on which they were read. `source`: the registered source that
    they name, or `unknown`; it need not have sent them. `parked`: how many of `records` are kept."""

    __tablename__: ClassVar[str] = "unverified"
    __table_args__ = _SCHEMA
    day: date = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    records: int = Field(sa_type=BigInteger)
    parked: int = Field(sa_type=BigInteger)
