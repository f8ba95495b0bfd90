"""The tables of front-end tables. Keys and contents are keyed hashes; the rest is in `sealed` columns."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel


class FeedRow(SQLModel, table=True):
    """The progress of a front-end table. `newest`: the newest change read; `cursor`: the place in the present run;
    `headers`: the columns read (all sealed). `problem`: the reason why it cannot be read now. `deaths`: steps in a
    row during which the process ended."""

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
    """One reading of a front-end table. `rows_before`: its rows at the start of a full load. `missing`: rows that it
    no longer has. `confirmed_by`: the officer who confirmed so many missing rows."""

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
    """The last content of a row of a front-end table (`exchange.domain.Seen`), as keyed hashes. `raw`: of its cells.
    `mark`: its watermark. `earlier`: its earlier periods, in JSON."""

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
    """A row of a front-end table that is rejected in its present form: its problems and its cells, sealed."""

    __tablename__ = "feed_rejects"
    __table_args__ = {"schema": "ingestion"}
    feed: str = columns.text(key=True, references="ingestion.feeds.feed")
    row_key: bytes = columns.blob(key=True)
    run: int = columns.bigint()
    at: datetime = columns.instant()
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
