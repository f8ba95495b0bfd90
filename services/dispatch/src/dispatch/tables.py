"""The tables of dispatch. Ids are uuid in PostgreSQL and strings in Python, except `correlation_id` (text) and
`answer_id` (integer). Lists of codes are comma-separated text."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class HeadRow(SQLModel, table=True):
    """The newest decision per person. `digest`: hash of the parts that concern visits; 0 if no part does."""

    __tablename__ = "heads"
    __table_args__ = {"schema": "dispatch"}

    person_id: str = columns.uuid(key=True)
    version: int = columns.bigint()
    digest: int = columns.bigint()


class PlanRow(SQLModel, table=True):
    """One person's plan for one item; see `domain.plan.Plan`. `part` is JSON."""

    __tablename__ = "plans"
    __table_args__ = (
        CheckConstraint("interval_days > 0"),
        CheckConstraint("state IN ('active', 'paused', 'waiting', 'stopped')"),
        Index("plans_act_on", "act_on", postgresql_where=text("act_on IS NOT NULL")),
        {"schema": "dispatch"},
    )

    person_id: str = columns.uuid(key=True)
    item: str = columns.text(key=True)
    state: str = columns.text()
    cause: str | None = columns.text(null=True)
    epoch: int = columns.integer()
    division: str | None = columns.text(null=True)
    tier: str | None = columns.text(null=True)
    interval_days: int | None = columns.integer(null=True)
    entitlement_id: str | None = columns.uuid(null=True)
    started_on: date | None = columns.day(null=True)
    last_from: date | None = columns.day(null=True)
    opened_until: date | None = columns.day(null=True)
    suspected_on: date | None = columns.day(null=True)
    act_on: date | None = columns.day(null=True)
    part: bytes = columns.blob()
    correlation_id: str = columns.text()


class TaskRow(SQLModel, table=True):
    """One visit to be made; see `domain.task.Task`. `verdict`: the judgement of supervision."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("by IN ('visit', 'call')"),
        CheckConstraint("window_from < window_to"),
        CheckConstraint("checked_in_at <= checked_out_at"),
        CheckConstraint("state NOT IN ('offered', 'accepted', 'in_progress', 'completed') OR provider IS NOT NULL"),
        CheckConstraint("(act_at IS NOT NULL) = (state IN ('planned', 'offered', 'accepted', 'in_progress'))"),
        CheckConstraint(
            "state IN ('planned', 'offered', 'accepted', 'in_progress', 'completed', 'missed', 'failed', 'excused', "
            "'expired', 'cancelled')"
        ),
        Index("tasks_act_at", "act_at", postgresql_where=text("act_at IS NOT NULL")),
        Index("tasks_of_person", "person_id"),
        Index("tasks_of_provider", "provider", "state", postgresql_where=text("provider IS NOT NULL")),
        Index("tasks_unplaced", "task_id", postgresql_where=text("state = 'planned' AND cause IS NOT NULL")),
        {"schema": "dispatch"},
    )

    task_id: str = columns.uuid(key=True)
    person_id: str = columns.uuid()
    item: str = columns.text()
    reason: str = columns.text()
    division: str = columns.text()
    window_from: date = columns.day()
    window_to: date = columns.day()
    entitlement_id: str = columns.uuid()
    correlation_id: str = columns.text()
    tier: str | None = columns.text(null=True)
    by: str = columns.text(default="'visit'")
    origin_task_id: str | None = columns.uuid(null=True)
    redispatches: int = columns.integer(default="0")
    state: str = columns.text()
    provider: str | None = columns.text(null=True)
    cause: str | None = columns.text(null=True)
    accept_by: datetime | None = columns.instant(null=True)
    checked_in_at: datetime | None = columns.instant(null=True)
    checked_out_at: datetime | None = columns.instant(null=True)
    worker: str | None = columns.text(null=True)
    outcome: str | None = columns.text(null=True)
    tried: str = columns.text(default="''")
    act_at: datetime | None = columns.instant(null=True)
    verdict: str | None = columns.text(null=True)


class AreaRow(SQLModel, table=True):
    """The areas that contain a division with tasks, or a division that a provider has served. The division itself is
    included. Filters by area use these rows, not code prefixes."""

    __tablename__ = "areas"
    __table_args__ = {"schema": "dispatch"}

    area: str = columns.text(key=True)
    division: str = columns.text(key=True)


class ProviderRow(SQLModel, table=True):
    """A registered provider. `topic_state`: none (no Kafka), pending (topics or backlog are not ready), ready.

    `feed_seq`: number of the last message. `open_tasks`: number of offered, accepted and begun tasks. `rematch_after`:
    the last unplaced task that was compared with a new or changed provider, at first an id below every task id; None if
    all were.
    """

    __tablename__ = "providers"
    __table_args__ = (
        CheckConstraint("capacity_per_day BETWEEN 1 AND 100000"),
        CheckConstraint("(length(name) >= 1) AND (length(name) <= 200)"),
        CheckConstraint("subscription IN ('kafka', 'webhook', 'poll')"),
        CheckConstraint("topic_state IN ('none', 'pending', 'ready')"),
        CheckConstraint("uscc ~ '^[0-9A-Z]{18}$'"),
        {"schema": "dispatch"},
    )

    uscc: str = columns.text(key=True)
    name: str = columns.text()
    items: str = columns.text()
    capacity_per_day: int = columns.integer()
    subscription: str = columns.text()
    topic_state: str = columns.text()
    feed_seq: int = columns.bigint(default="0")
    open_tasks: int = columns.integer(default="0")
    rematch_after: str | None = columns.uuid(null=True)
    created_at: datetime = columns.instant()


class ProviderAreaRow(SQLModel, table=True):
    """A division a provider serves, with everything below it."""

    __tablename__ = "provider_areas"
    __table_args__ = {"schema": "dispatch"}

    division: str = columns.text(key=True)
    uscc: str = columns.text(key=True, references="dispatch.providers.uscc")


class FeedRow(SQLModel, table=True):
    """The messages to a provider, numbered without gaps: the messages of its topic, with the same ids."""

    __tablename__ = "feed"
    __table_args__ = (
        Index("feed_at", "at", postgresql_using="brin"),
        Index("feed_unpublished", "provider", "seq", postgresql_where=text("NOT published")),
        {"schema": "dispatch"},
    )

    provider: str = columns.text(key=True)
    seq: int = columns.bigint(key=True)
    event_id: str = columns.uuid()
    wire_type: str = columns.text()
    task_id: str = columns.uuid()
    at: datetime = columns.instant()
    correlation_id: str = columns.text()
    causation_id: str | None = columns.uuid(null=True)
    payload: bytes = columns.blob()
    published: bool = columns.boolean()


class AnswerRow(SQLModel, table=True):
    """Every answer of a provider to a known task: applied, repeated or refused; and every applied decision of officers.
    Not recorded: a visitor's answer to a task outside the visitor's area.

    `via`: http or kafka. `given_by`: credit code of the provider, or subject of the officer.
    """

    __tablename__ = "answers"
    __table_args__ = (
        Index("answers_of_task", "task_id"),
        {"schema": "dispatch"},
    )

    answer_id: int = columns.identity(key=True)
    task_id: str = columns.uuid()
    given_by: str = columns.text()
    answer: str = columns.text()
    at: datetime = columns.instant()
    received_at: datetime = columns.instant()
    via: str = columns.text()
    evidence: str | None = columns.text(null=True)
    refused: str | None = columns.text(null=True)
