"""The tables about front-end tables. Keys and contents are stored as keyed hashes, all other personal data sealed."""

from datetime import date, datetime

from shell.store import columns
from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel


class FeedRow(SQLModel, table=True):
    """A feed and its position. `newest`: the newest change that was read; `cursor`: the position in the present run;
    `headers`: the columns that are read (all sealed). `problem`: JSON, why the table cannot be read now; `deaths`:
    steps in a row that began and did not end."""

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
    """One run through a front-end table. `rows_before`: rows in the table when a full load began; `known_before`:
    stored rows that were alive then; `missing`: those that are no longer there; `confirmed_by`: the officer who
    confirmed this number."""

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
    known_before: int | None = columns.bigint(null=True)
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
    """The state of a key (`domain.states.KeyState`). `row_key`, `raw`, `line`, `said`: keyed hashes of its key, cells,
    subject and content. `mark`: its watermark; `earlier`: its former periods; both are JSON. `seen_run`: the last run
    that found the row."""

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
    """A rejected row of a front-end table. `problems`: JSON; `sealed`: its cells. A corrected row is deleted here."""

    __tablename__ = "feed_rejects"
    __table_args__ = {"schema": "ingestion"}
    feed: str = columns.text(key=True, references="ingestion.feeds.feed")
    row_key: bytes = columns.blob(key=True)
    run: int = columns.bigint()
    at: datetime = columns.instant()
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
