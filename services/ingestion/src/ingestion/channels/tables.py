"""The table of Kafka records whose sender is unknown. It holds no personal data."""

from datetime import date
from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


class UnverifiedRow(SQLModel, table=True):
    """Counts per `day` of reading. `source`: the registered source that the records name, or `unknown`; it may not have
    sent them. `parked`: how many of `records` are kept."""

    __tablename__: ClassVar[str] = "unverified"
    __table_args__ = _SCHEMA
    day: date = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    records: int = Field(sa_type=BigInteger)
    parked: int = Field(sa_type=BigInteger)
