"""What dispatch stores. Ids are uuid in PostgreSQL and strings in Python; lists of codes are comma-separated text."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, Text
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

SCHEMA = "dispatch"


def _id(*, primary: bool = False, nullable: bool = False) -> Any:
    return Field(sa_column=Column(UUID(as_uuid=False), primary_key=primary, nullable=nullable))


def _text(*, primary: bool = False, nullable: bool = False) -> Any:
    return Field(sa_column=Column(Text, primary_key=primary, nullable=nullable))


def _instant(*, nullable: bool = True) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


class HeadRow(SQLModel, table=True):
    """The newest decision seen of every person; `digest` of what of it matters to visits, 0 for nothing."""

    __tablename__: ClassVar[str] = "heads"
    __table_args__ = {"schema": SCHEMA}

    person_id: str = _id(primary=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: int = Field(sa_column=Column(BigInteger, nullable=False))


class PlanRow(SQLModel, table=True):
    """One person's plan for one item; see `domain.plan.Plan`. `part` is JSON."""

    __tablename__: ClassVar[str] = "plans"
    __table_args__ = {"schema": SCHEMA}

    person_id: str = _id(primary=True)
    item: str = _text(primary=True)
    state: str = _text()
    cause: str | None = _text(nullable=True)
    epoch: int
    division: str | None = _text(nullable=True)
    tier: str | None = _text(nullable=True)
    interval_days: int | None
    entitlement_id: str | None = _id(nullable=True)
    started_on: date | None
    last_from: date | None
    opened_until: date | None
    suspected_on: date | None
    act_on: date | None
    part: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    correlation_id: str = _text()


class TaskRow(SQLModel, table=True):
    """One visit to be made; see `domain.task.Task`. `verdict` is supervision's."""

    __tablename__: ClassVar[str] = "tasks"
    __table_args__ = {"schema": SCHEMA}

    task_id: str = _id(primary=True)
    person_id: str = _id()
    item: str = _text()
    reason: str = _text()
    division: str = _text()
    window_from: date
    window_to: date
    entitlement_id: str = _id()
    correlation_id: str = _text()
    tier: str | None = _text(nullable=True)
    by: str = _text()
    origin_task_id: str | None = _id(nullable=True)
    redispatches: int
    state: str = _text()
    provider: str | None = _text(nullable=True)
    cause: str | None = _text(nullable=True)
    accept_by: datetime | None = _instant()
    checked_in_at: datetime | None = _instant()
    checked_out_at: datetime | None = _instant()
    worker: str | None = _text(nullable=True)
    outcome: str | None = _text(nullable=True)
    tried: str = _text()
    act_at: datetime | None = _instant()
    verdict: str | None = _text(nullable=True)


class AreaRow(SQLModel, table=True):
    """Every area above (and equal to) a division that tasks are in: scope is a closure, never a code prefix."""

    __tablename__: ClassVar[str] = "areas"
    __table_args__ = {"schema": SCHEMA}

    area: str = _text(primary=True)
    division: str = _text(primary=True)


class ProviderRow(SQLModel, table=True):
    """`topic_state`: none (no Kafka), pending (topics or backlog to come), ready. `feed_seq`: its last message.
    `open_tasks`: offered to it, accepted or begun."""

    __tablename__: ClassVar[str] = "providers"
    __table_args__ = {"schema": SCHEMA}

    uscc: str = _text(primary=True)
    name: str = _text()
    items: str = _text()
    capacity_per_day: int
    subscription: str = _text()
    topic_state: str = _text()
    feed_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    open_tasks: int
    rematch_after: str | None = _id(nullable=True)
    created_at: datetime = _instant(nullable=False)


class ProviderAreaRow(SQLModel, table=True):
    """A division a provider serves, with everything below it."""

    __tablename__: ClassVar[str] = "provider_areas"
    __table_args__ = {"schema": SCHEMA}

    division: str = _text(primary=True)
    uscc: str = _text(primary=True)


class FeedRow(SQLModel, table=True):
    """What a provider was told, numbered without gaps; the same messages as on its topic, with the same ids."""

    __tablename__: ClassVar[str] = "feed"
    __table_args__ = {"schema": SCHEMA}

    provider: str = _text(primary=True)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True))
    event_id: str = _id()
    wire_type: str = _text()
    task_id: str = _id()
    at: datetime = _instant(nullable=False)
    correlation_id: str = _text()
    causation_id: str | None = _id(nullable=True)
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    published: bool


class AnswerRow(SQLModel, table=True):
    """Every answer to a known task, taken or refused. `via`: http or kafka; `given_by`: a provider or an officer."""

    __tablename__: ClassVar[str] = "answers"
    __table_args__ = {"schema": SCHEMA}

    answer_id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    task_id: str = _id()
    given_by: str = _text()
    answer: str = _text()
    at: datetime = _instant(nullable=False)
    received_at: datetime = _instant(nullable=False)
    via: str = _text()
    evidence: str | None = _text(nullable=True)
    refused: str | None = _text(nullable=True)
