"""The table of Kafka records whose sender is unknown. It holds no personal data."""

from datetime import date

from shell.store import columns
from sqlmodel import SQLModel


class UnverifiedRow(SQLModel, table=True):
    """Counts per `day` of reading. `source`: the registered source that the records name, or `unknown`; it may not have
    sent them. `parked`: how many of `records` are kept."""

    __tablename__ = "unverified"
    __table_args__ = {"schema": "ingestion"}
    day: date = columns.day(key=True)
    topic: str = columns.text(key=True)
    source: str = columns.text(key=True)
    reason: str = columns.text(key=True)
    records: int = columns.bigint()
    parked: int = columns.bigint()
