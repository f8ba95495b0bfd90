"""The tables of people, accepted events and files. The tables of each room are in its own module.

Personal data is stored in `sealed` columns only. Hashes are keyed.
"""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel

_Bytes = bytes  # for a class with a column named `bytes`
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
    """The person of one ID number.

    `statements`: JSON objects, joined by commas. `waiting`: how many events of this person wait for another event.
    `circle`: the smallest person id among all that were ever linked by identity changes. `merged_into`: the person that
    represents this one now. `identities`: the history of merges, as JSON."""

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
    """A person's identity data, encrypted. `field`: `id_number` or `name`."""

    __tablename__: ClassVar[str] = "vault"
    __table_args__ = _SCHEMA
    person_id: str = _uuid(primary_key=True)
    field: str = Field(primary_key=True)
    sealed: bytes


class ReceivedRow(SQLModel, table=True):
    """Every accepted event, once. `status`: applied, quarantined or parked. `day`: the civil day of the event's `time`.
    `digest`: keyed hash of the content. `sealed`: the whole event, encrypted."""

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
    """All statements about one household (`domain.household.State` as JSON)."""

    __tablename__: ClassVar[str] = "households"
    __table_args__ = _SCHEMA
    household: str = _uuid(primary_key=True)
    state: bytes = b""


class RejectionRow(SQLModel, table=True):
    """A rejected event of a registered source. `problems`: pointers and codes as JSON. `sealed`: the body,
    encrypted."""

    __tablename__: ClassVar[str] = "rejections"
    __table_args__ = _SCHEMA
    rejection_id: str = _uuid(primary_key=True)
    source: str
    event_id: str | None = _uuid(default=None)
    day: date
    problems: bytes
    sealed: bytes
    recorded_at: datetime = _instant()


class ImportRow(SQLModel, table=True):
    """An imported file and its progress.

    `rows_read` is the checkpoint: it moves in the transaction that records the rows. `spool`: the file's encrypted
    bytes on disk. `owner`: the area whose officers may see the rejected rows. `headers`: the column names, encrypted.
    `deaths`: consecutive steps that began and never ended."""

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
    """A rejected row of a file. `problems`: the reasons; `sealed`: its cells, encrypted."""

    __tablename__: ClassVar[str] = "import_rejects"
    __table_args__ = _SCHEMA
    import_id: str = _uuid(primary_key=True)
    row: int = Field(sa_type=BigInteger, primary_key=True)
    problems: bytes
    sealed: bytes
