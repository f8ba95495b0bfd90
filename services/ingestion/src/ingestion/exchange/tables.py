"""The tables about front-end tables. Keys and contents are stored as keyed hashes, all other personal data sealed."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field, SQLModel

_SCHEMA = {"schema": "ingestion"}


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class FeedRow(SQLModel, table=True):
    """A feed and its position. `newest`: the newest change that was read; `cursor`: the position in the present run;
    `headers`: the columns that are read (all sealed). `problem`: JSON, why the table cannot be read now; `deaths`:
    steps in a row that began and did not end."""

    __tablename__: ClassVar[str] = "feeds"
    __table_args__ = _SCHEMA
    feed: str = Field(primary_key=True)
    state: str = "idle"
    run: int = Field(default=0, sa_type=BigInteger)
    newest: bytes = b""
    cursor: bytes = b""
    from_start: bool = False
    headers: bytes = b""
    failures: int = 0
    deaths: int = 0
    problem: bytes = b""
    problem_at: datetime | None = _instant(default=None)
    worked_at: datetime | None = _instant(default=None)
    next_at: datetime | None = _instant(default=None)


class FeedRunRow(SQLModel, table=True):
    """One run through a front-end table. `rows_before`: rows in the table when a full load began; `missing`: rows that
    are no longer there; `confirmed_by`: the officer who confirmed this number."""

    __tablename__: ClassVar[str] = "feed_runs"
    __table_args__ = _SCHEMA
    feed: str = Field(primary_key=True)
    run: int = Field(sa_type=BigInteger, primary_key=True)
    state: str
    started_at: datetime = _instant()
    finished_at: datetime | None = _instant(default=None)
    rows_before: int | None = Field(default=None, sa_type=BigInteger)
    rows_read: int = Field(default=0, sa_type=BigInteger)
    accepted: int = Field(default=0, sa_type=BigInteger)
    unchanged: int = Field(default=0, sa_type=BigInteger)
    quarantined: int = Field(default=0, sa_type=BigInteger)
    rejected: int = Field(default=0, sa_type=BigInteger)
    missing: int = Field(default=0, sa_type=BigInteger)
    ended: int = Field(default=0, sa_type=BigInteger)
    problem: bytes = b""
    confirmed_by: str | None = None


class FeedSeenRow(SQLModel, table=True):
    """The state of a key (`domain.states.KeyState`). `row_key`, `raw`, `line`, `said`: keyed hashes of its key, cells,
    subject and content. `mark`: its watermark; `earlier`: its former periods; both are JSON. `seen_run`: the last run
    that found the row."""

    __tablename__: ClassVar[str] = "feed_rows"
    __table_args__ = _SCHEMA
    feed: str = Field(primary_key=True)
    row_key: bytes = Field(primary_key=True)
    seen_run: int = Field(sa_type=BigInteger)
    version: int
    life: str
    at: datetime = _instant()
    mark: bytes
    raw: bytes
    line: bytes
    said: bytes
    valid_from: date | None = None
    valid_to: date | None = None
    head: int = 0
    earlier: bytes = b""


class FeedRejectRow(SQLModel, table=True):
    """A rejected row of a front-end table. `problems`: JSON; `sealed`: its cells. A corrected row is deleted here."""

    __tablename__: ClassVar[str] = "feed_rejects"
    __table_args__ = _SCHEMA
    feed: str = Field(primary_key=True)
    row_key: bytes = Field(primary_key=True)
    run: int = Field(sa_type=BigInteger)
    at: datetime = _instant()
    problems: bytes
    sealed: bytes
