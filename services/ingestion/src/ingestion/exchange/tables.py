"""What ingestion stores of front-end tables. Keys and contents stand as keyed hashes, the rest in `sealed` columns."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel


class FeedRow(SQLModel, table=True):
    """How far a front-end table is read. `newest`: the newest change that was read; `cursor`: the place within the
    present run; `headers`: the columns that are read (all sealed); `problem`: why it cannot be read just now;
    `deaths`: steps in a row that began and never ended."""

    __tablename__ = "feeds"
    __table_args__ = (
        CheckConstraint("state IN ('idle', 'reading', 'ending', 'held')"),
        {"schema": "ingestion"},
    )
    feed: str = columns.text(key=True)
    state: str = columns.text(default="'idle'")
    run: int = columns.bigint(default="0")
    newest: bytes = columns.blob(default="''")
    cursor: bytes = columns.blob(default="''")
    from_start: bool = columns.boolean(default="false")
    headers: bytes = columns.blob(default="''")
    failures: int = columns.integer(default="0")
    deaths: int = columns.integer(default="0")
    problem: bytes = columns.blob(default="''")
    problem_at: datetime | None = columns.instant(null=True)
    worked_at: datetime | None = columns.instant(null=True)
    next_at: datetime | None = columns.instant(null=True)


class FeedRunRow(SQLModel, table=True):
    """One reading of a front-end table. `rows_before`: how many rows it had when a full load began; `missing`: rows
    that it no longer has; `confirmed_by`: who said that so many missing rows are right."""

    __tablename__ = "feed_runs"
    __table_args__ = (
        CheckConstraint("rows_read = accepted + unchanged + quarantined + rejected"),
        CheckConstraint("state IN ('reading', 'ending', 'held', 'done', 'unsure')"),
        {"schema": "ingestion"},
    )
    feed: str = columns.text(key=True, references="ingestion.feeds.feed")
    run: int = columns.bigint(key=True)
    state: str = columns.text()
    started_at: datetime = columns.instant()
    finished_at: datetime | None = columns.instant(null=True)
    rows_before: int | None = columns.bigint(null=True)
    rows_read: int = columns.bigint(default="0")
    accepted: int = columns.bigint(default="0")
    unchanged: int = columns.bigint(default="0")
    quarantined: int = columns.bigint(default="0")
    rejected: int = columns.bigint(default="0")
    missing: int = columns.bigint(default="0")
    ended: int = columns.bigint(default="0")
    problem: bytes = columns.blob(default="''")
    confirmed_by: str | None = columns.text(null=True)


class FeedSeenRow(SQLModel, table=True):
    """What a row of a front-end table said last (`domain.rows.Seen`); keys and contents as keyed hashes. `raw`: of its
    cells; `mark`: its watermark, and `earlier`: its periods before, in JSON."""

    __tablename__ = "feed_rows"
    __table_args__ = (
        CheckConstraint("life IN ('silent', 'alive', 'ended', 'annulled')"),
        {"schema": "ingestion"},
    )
    feed: str = columns.text(key=True, references="ingestion.feeds.feed")
    row_key: bytes = columns.blob(key=True)
    seen_run: int = columns.bigint()
    version: int = columns.integer()
    life: str = columns.text()
    at: datetime = columns.instant()
    mark: bytes = columns.blob()
    raw: bytes = columns.blob()
    line: bytes = columns.blob()
    said: bytes = columns.blob()
    valid_from: date | None = columns.day(null=True)
    valid_to: date | None = columns.day(null=True)
    head: int = columns.integer(default="0")
    earlier: bytes = columns.blob(default="''")


class FeedRejectRow(SQLModel, table=True):
    """A row of a front-end table that is refused as it stands now: why, and its cells, sealed."""

    __tablename__ = "feed_rejects"
    __table_args__ = {"schema": "ingestion"}
    feed: str = columns.text(key=True, references="ingestion.feeds.feed")
    row_key: bytes = columns.blob(key=True)
    run: int = columns.bigint()
    at: datetime = columns.instant()
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
