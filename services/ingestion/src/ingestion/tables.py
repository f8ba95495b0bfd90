"""The tables of ingestion. Only `sealed` columns hold personal data; hashes are keyed."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel


class IdentityRow(SQLModel, table=True):
    """The person of an ID number, by its blind index."""

    __tablename__ = "identities"
    __table_args__ = {"schema": "ingestion"}
    blind_index: bytes = columns.blob(key=True)
    person_id: str = columns.uuid()


class PersonRow(SQLModel, table=True):
    """The person of one ID number. `statements`: their JSON, joined by commas. `waiting`: the number of this
    person's events that wait for another. `circle`: all ids that were ever merged with this one have the same.
    `merged_into`: the id that answers for this one now. `identities`: JSON of the history of merges."""

    __tablename__ = "persons"
    __table_args__ = (
        CheckConstraint("waiting >= 0"),
        Index("persons_circle", "circle", postgresql_where=text("circle IS NOT NULL")),
        {"schema": "ingestion"},
    )
    person_id: str = columns.uuid(key=True)
    version: int = columns.integer(default="0")
    recorded_at: datetime | None = columns.instant(null=True)
    division: str | None = columns.text(null=True)
    waiting: int = columns.integer(default="0")
    statements: bytes = columns.blob(default="''")
    memory: bytes = columns.blob(default="''")
    circle: str | None = columns.uuid(null=True)
    merged_into: str | None = columns.uuid(null=True)
    identities: bytes = columns.blob(default="''")


class VaultRow(SQLModel, table=True):
    """The identity of a person, encrypted. `field`: `id_number` or `name`."""

    __tablename__ = "vault"
    __table_args__ = (
        CheckConstraint("field IN ('id_number', 'name')"),
        {"schema": "ingestion"},
    )
    person_id: str = columns.uuid(key=True)
    field: str = columns.text(key=True)
    sealed: bytes = columns.blob()


class ReceivedRow(SQLModel, table=True):
    """Every accepted event once. `status`: applied, quarantined or parked. `day`: the source's day, by its `time`."""

    __tablename__ = "received"
    __table_args__ = (
        CheckConstraint("(status = 'applied') = (chain IS NOT NULL)"),
        CheckConstraint("status IN ('applied', 'quarantined', 'parked')"),
        Index("received_day", "day", postgresql_using="brin"),
        {"schema": "ingestion"},
    )
    event_id: str = columns.uuid(key=True)
    source: str = columns.text()
    kind: str = columns.text()
    day: date = columns.day()
    status: str = columns.text()
    person_id: str = columns.uuid()
    chain: str | None = columns.uuid(null=True)
    household: str | None = columns.uuid(null=True)
    digest: bytes = columns.blob()
    sealed: bytes = columns.blob()
    recorded_at: datetime = columns.instant()


class HouseholdRow(SQLModel, table=True):
    """All statements about one household (`domain.household.State` as JSON)."""

    __tablename__ = "households"
    __table_args__ = {"schema": "ingestion"}
    household: str = columns.uuid(key=True)
    state: bytes = columns.blob(default="''")


class RejectionRow(SQLModel, table=True):
    """A readable event of a known source that was rejected: counted, with its sealed body."""

    __tablename__ = "rejections"
    __table_args__ = (
        Index("rejections_day", "source", "day"),
        Index("rejections_event", "event_id", postgresql_where=text("event_id IS NOT NULL")),
        {"schema": "ingestion"},
    )
    rejection_id: str = columns.uuid(key=True)
    source: str = columns.text()
    event_id: str | None = columns.uuid(null=True)
    day: date = columns.day()
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
    recorded_at: datetime = columns.instant()


class TallyRow(SQLModel, table=True):
    """The counts of one batch (`domain.completeness.Tally` as MessagePack), until a job has added them up."""

    __tablename__ = "tallies"
    __table_args__ = {"schema": "ingestion"}
    tally_id: int = columns.identity(key=True)
    at: datetime = columns.instant()
    entries: bytes = columns.blob()


class DayCountRow(SQLModel, table=True):
    """The received events of a source's day. `digest`: XOR of the SHA-256 of the source's ids; null if unknown."""

    __tablename__ = "day_counts"
    __table_args__ = (
        CheckConstraint("events > 0"),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    day: date = columns.day(key=True)
    kind: str = columns.text(key=True)
    events: int = columns.integer()
    digest: bytes | None = columns.blob(null=True)


class SourceDayRow(SQLModel, table=True):
    """A day that a source reported or should have reported. `gap_since`: an alarm is open. `checked_at`: last
    comparison."""

    __tablename__ = "source_days"
    __table_args__ = (
        CheckConstraint("(gap_since IS NULL) = (gap_state IS NULL)"),
        CheckConstraint("((told_at IS NULL) = (count IS NULL)) AND ((count IS NULL) = (digest IS NULL))"),
        CheckConstraint("count >= 0"),
        Index("source_days_gaps", "source", "day", postgresql_where=text("gap_since IS NOT NULL")),
        Index("source_days_to_compare", "day", postgresql_where=text("checked_at IS NULL")),
        {"schema": "ingestion"},
    )
    source: str = columns.text(key=True)
    day: date = columns.day(key=True)
    count: int | None = columns.integer(null=True)
    digest: str | None = columns.text(null=True)
    told_at: datetime | None = columns.instant(null=True)
    checked_at: datetime | None = columns.instant(null=True)
    gap_since: datetime | None = columns.instant(null=True)
    gap_state: str | None = columns.text(null=True)


class SourceKindRow(SQLModel, table=True):
    """The last event of a kind from a source. `silent_since`: an alarm is open."""

    __tablename__ = "source_kinds"
    __table_args__ = {"schema": "ingestion"}
    source: str = columns.text(key=True)
    kind: str = columns.text(key=True)
    heard_at: datetime | None = columns.instant(null=True)
    silent_since: datetime | None = columns.instant(null=True)


class RegistryRow(SQLModel, table=True):
    """A version of a source's entry (`entries.Entry` as JSON), in force from `since` on. Rows are only added."""

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


class CoverageRow(SQLModel, table=True):
    """The newest declaration of a division. `said`: the JSON of its `CoverageDeclared`, the head of the topic."""

    __tablename__ = "coverages"
    __table_args__ = {"schema": "ingestion"}
    division: str = columns.text(key=True)
    version: int = columns.integer()
    said: bytes = columns.blob()


class CorrectionRow(SQLModel, table=True):
    """A request to a source to correct an event. `code` and `pointer`: as in the published list. `rule`: the reason
    of the request. `looked_at`: no event that arrived before was an answer."""

    __tablename__ = "corrections"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (answered_at IS NULL)"),
        CheckConstraint("rule IN ('officer', 'quarantine_overdue', 'standing')"),
        CheckConstraint("state IN ('open', 'answered', 'withdrawn')"),
        CheckConstraint("target IN ('rejected', 'waiting', 'applied')"),
        Index("corrections_of_source", "source", "correction_id"),
        Index("corrections_one_open", "event_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("corrections_to_look_at", "looked_at", postgresql_where=text("state = 'open'")),
        {"schema": "ingestion"},
    )
    correction_id: str = columns.uuid(key=True)
    source: str = columns.text()
    area: str = columns.text()
    event_id: str = columns.uuid()
    kind: str | None = columns.text(null=True)
    target: str = columns.text()
    code: str = columns.text()
    pointer: str = columns.text()
    reason: str = columns.text()
    rule: str = columns.text()
    asked_by: str = columns.text()
    asked_at: datetime = columns.instant()
    deadline: datetime = columns.instant()
    looked_at: datetime = columns.instant()
    state: str = columns.text(default="'open'")
    answered_at: datetime | None = columns.instant(null=True)
    answered_by: str | None = columns.uuid(null=True)


class QuotaRow(SQLModel, table=True):
    """The quota of a source: two buckets that refill over time; below zero the source must wait."""

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


class AuditRow(SQLModel, table=True):
    """A read or a decision of a user, with its reason. Rows are only added. `division`: the user's area."""

    __tablename__ = "audits"
    __table_args__ = (
        Index("audits_newest", "at", "audit_id"),
        Index("audits_of_actor", "actor", "at", "audit_id"),
        {"schema": "ingestion"},
    )
    audit_id: int = columns.identity(key=True)
    at: datetime = columns.instant()
    actor: str = columns.text()
    role: str = columns.text()
    action: str = columns.text()
    purpose: str = columns.text()
    cause: str = columns.text()
    fields: str = columns.text()
    person_ids: bytes = columns.blob()
    division: str | None = columns.text(null=True)
