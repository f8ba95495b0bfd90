"""What ingestion stores. Personal data stands in `sealed` columns only; hashes are keyed."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, DateTime, Identity
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, UUID
from sqlmodel import Field, SQLModel

_Bytes = bytes  # where a column of the same class is called `bytes`
_SCHEMA = {"schema": "ingestion"}


def _uuid(**options: Any) -> Any:
    return Field(sa_type=UUID(as_uuid=False), **options)


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class IdentityRow(SQLModel, table=True):
    """Blind index of an ID number → person."""

    __tablename__: ClassVar[str] = "identities"
    __table_args__ = _SCHEMA
    blind_index: bytes = Field(primary_key=True)
    person_id: str = _uuid()


class PersonRow(SQLModel, table=True):
    """One ID number's person. `statements`: their JSON, joined by commas. `waiting`: how many of this person's events
    wait for another. `circle`: names everybody who was ever said to be the same human; `merged_into`: who answers for
    this one now; `identities`: JSON of who it was taken for when."""

    __tablename__: ClassVar[str] = "persons"
    __table_args__ = _SCHEMA
    person_id: str = _uuid(primary_key=True)
    version: int = 0
    recorded_at: datetime | None = _instant(default=None)
    division: str | None = None
    waiting: int = 0
    statements: bytes = b""
    memory: bytes = b""
    circle: str | None = _uuid(default=None)
    merged_into: str | None = _uuid(default=None)
    identities: bytes = b""


class VaultRow(SQLModel, table=True):
    """A person's identity, encrypted; `field` is `id_number` or `name`."""

    __tablename__: ClassVar[str] = "vault"
    __table_args__ = _SCHEMA
    person_id: str = _uuid(primary_key=True)
    field: str = Field(primary_key=True)
    sealed: bytes


class ReceivedRow(SQLModel, table=True):
    """Every accepted event once. `status`: applied, quarantined or parked. `day`: the source's own, of its `time`."""

    __tablename__: ClassVar[str] = "received"
    __table_args__ = _SCHEMA
    event_id: str = _uuid(primary_key=True)
    source: str
    kind: str
    day: date
    status: str
    person_id: str = _uuid()
    chain: str | None = _uuid(default=None)
    household: str | None = _uuid(default=None)
    digest: bytes
    sealed: bytes
    recorded_at: datetime = _instant()


class HouseholdRow(SQLModel, table=True):
    """Everything said about one household (`households.State` as JSON)."""

    __tablename__: ClassVar[str] = "households"
    __table_args__ = _SCHEMA
    household: str = _uuid(primary_key=True)
    state: bytes = b""


class RejectionRow(SQLModel, table=True):
    """A readable event of a known source that was refused: counted, its body sealed."""

    __tablename__: ClassVar[str] = "rejections"
    __table_args__ = _SCHEMA
    rejection_id: str = _uuid(primary_key=True)
    source: str
    event_id: str | None = _uuid(default=None)
    day: date
    problems: bytes
    sealed: bytes
    recorded_at: datetime = _instant()


class TallyRow(SQLModel, table=True):
    """What one batch counted (`completeness.Tally` as MessagePack), until a job has added it up."""

    __tablename__: ClassVar[str] = "tallies"
    __table_args__ = _SCHEMA
    tally_id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = _instant()
    entries: bytes


class DayCountRow(SQLModel, table=True):
    """What is here of a source's day. `digest`: XOR of the SHA-256 of the source's ids; null where unknown."""

    __tablename__: ClassVar[str] = "day_counts"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    events: int
    digest: bytes | None = None


class SourceDayRow(SQLModel, table=True):
    """A day of which a source told, or should have. `gap_since`: an alarm is open; `checked_at`: last compared."""

    __tablename__: ClassVar[str] = "source_days"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    count: int | None = None
    digest: str | None = None
    told_at: datetime | None = _instant(default=None)
    checked_at: datetime | None = _instant(default=None)
    gap_since: datetime | None = _instant(default=None)
    gap_state: str | None = None


class SourceKindRow(SQLModel, table=True):
    """When a kind was last heard from a source. `silent_since`: an alarm is open."""

    __tablename__: ClassVar[str] = "source_kinds"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    heard_at: datetime | None = _instant(default=None)
    silent_since: datetime | None = _instant(default=None)


class RegistryRow(SQLModel, table=True):
    """A version of a source's entry (`source_entries.Entry` as JSON), in force from `since` on. Rows are only added."""

    __tablename__: ClassVar[str] = "registry"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    since: datetime = _instant()
    entry: bytes
    decided_by: str
    reason: str


class CoverageRow(SQLModel, table=True):
    """What was told last of a division. `said`: the exact JSON of that `CoverageDeclared`: the head of the topic."""

    __tablename__: ClassVar[str] = "coverages"
    __table_args__ = _SCHEMA
    division: str = Field(primary_key=True)
    version: int
    said: bytes


class CorrectionRow(SQLModel, table=True):
    """A source was asked to put an event right. `code` and `pointer` as in the published list, `rule`: who or what
    asked; `looked_at`: what arrived until then was no answer."""

    __tablename__: ClassVar[str] = "corrections"
    __table_args__ = _SCHEMA
    correction_id: str = _uuid(primary_key=True)
    source: str
    area: str
    event_id: str = _uuid()
    kind: str | None = None
    target: str
    code: str
    pointer: str
    reason: str
    rule: str
    asked_by: str
    asked_at: datetime = _instant()
    deadline: datetime = _instant()
    looked_at: datetime = _instant()
    state: str = "open"
    answered_at: datetime | None = _instant(default=None)
    answered_by: str | None = _uuid(default=None)


class QuotaRow(SQLModel, table=True):
    """How much a source may still send, as two buckets that fill again; below zero it owes."""

    __tablename__: ClassVar[str] = "quotas"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    minute_left: float = Field(sa_type=DOUBLE_PRECISION)
    day_left: float = Field(sa_type=DOUBLE_PRECISION)
    at: datetime = _instant()


class SignatureRow(SQLModel, table=True):
    """A signed request that may not come again."""

    __tablename__: ClassVar[str] = "signatures"
    __table_args__ = _SCHEMA
    source: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    at: datetime = _instant()


class ImportRow(SQLModel, table=True):
    """A file and how far it is worked through. `rows_read` is the checkpoint: it moves in the transaction that records
    the rows. `spool`: its sealed bytes on disk; `owner`: the area whose officers may see what was refused; `headers`:
    the names of its columns, sealed; `deaths`: steps in a row that began and never ended."""

    __tablename__: ClassVar[str] = "imports"
    __table_args__ = _SCHEMA
    import_id: str = _uuid(primary_key=True)
    source: str | None = None
    owner: str
    actor: str
    kind: str | None = None
    format: str
    mapping: _Bytes
    spool: str | None = _uuid(default=None)
    bytes: int = Field(sa_type=BigInteger)
    bytes_read: int = Field(default=0, sa_type=BigInteger)
    state: str = "waiting"
    problems: _Bytes = b""
    headers: _Bytes = b""
    rows_read: int = Field(default=0, sa_type=BigInteger)
    accepted: int = Field(default=0, sa_type=BigInteger)
    duplicates: int = Field(default=0, sa_type=BigInteger)
    quarantined: int = Field(default=0, sa_type=BigInteger)
    rejected: int = Field(default=0, sa_type=BigInteger)
    formula_rows: int = Field(default=0, sa_type=BigInteger)
    tables_skipped: int = 0
    deaths: int = 0
    received_at: datetime = _instant()
    worked_at: datetime | None = _instant(default=None)
    settled_at: datetime | None = _instant(default=None)


class ImportRejectRow(SQLModel, table=True):
    """A row of a file that was refused: why, and its cells, sealed."""

    __tablename__: ClassVar[str] = "import_rejects"
    __table_args__ = _SCHEMA
    import_id: str = _uuid(primary_key=True)
    row: int = Field(sa_type=BigInteger, primary_key=True)
    problems: bytes
    sealed: bytes


class AuditRow(SQLModel, table=True):
    """Who saw or decided what, and why. Rows are only ever added. `division`: the actor's area."""

    __tablename__: ClassVar[str] = "audits"
    __table_args__ = _SCHEMA
    audit_id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = _instant()
    actor: str
    role: str
    action: str
    purpose: str
    cause: str
    fields: str
    person_ids: bytes
    division: str | None = None
