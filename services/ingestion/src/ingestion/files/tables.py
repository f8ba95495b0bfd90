"""The tables of imported files."""

from datetime import datetime

from shell.store import columns
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel

_Bytes = bytes  # where a column of the same class is called `bytes`


class ImportRow(SQLModel, table=True):
    """An imported file and its progress.

    `rows_read` is the checkpoint: it moves in the transaction that records the rows. `spool`: the name of the encrypted
    file on disk. `owner`: the area whose officers may see the rejected rows. `headers`: the column names, encrypted.
    `deaths`: the number of steps in a row during which the process crashed. A step is counted before it begins; the
    count returns to 0 when a step ends."""

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint("bytes >= 0"),
        CheckConstraint("rows_read = accepted + duplicates + quarantined + rejected"),
        CheckConstraint("(state IN ('done', 'failed')) = (settled_at IS NOT NULL)"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')"),
        Index("imports_open", "worked_at", postgresql_where=text("state IN ('waiting', 'running')")),
        Index("imports_settled", "settled_at", postgresql_where=text("rejected > 0")),
        {"schema": "ingestion"},
    )
    import_id: str = columns.uuid(key=True)
    source: str | None = columns.text(null=True)
    owner: str = columns.text()
    actor: str = columns.text()
    kind: str | None = columns.text(null=True)
    format: str = columns.text()
    mapping: _Bytes = columns.blob()
    spool: str | None = columns.uuid(null=True)
    bytes: int = columns.bigint()
    bytes_read: int = columns.bigint(default="0")
    state: str = columns.text(default="'waiting'")
    problems: _Bytes = columns.blob(default="''")
    headers: _Bytes = columns.blob(default="''")
    rows_read: int = columns.bigint(default="0")
    accepted: int = columns.bigint(default="0")
    duplicates: int = columns.bigint(default="0")
    quarantined: int = columns.bigint(default="0")
    rejected: int = columns.bigint(default="0")
    formula_rows: int = columns.bigint(default="0")
    tables_skipped: int = columns.integer(default="0")
    deaths: int = columns.integer(default="0")
    received_at: datetime = columns.instant()
    worked_at: datetime | None = columns.instant(null=True)
    settled_at: datetime | None = columns.instant(null=True)


class ImportRejectRow(SQLModel, table=True):
    """A rejected row of a file. `problems`: the reasons; `sealed`: its cells, encrypted."""

    __tablename__ = "import_rejects"
    __table_args__ = {"schema": "ingestion"}
    import_id: str = columns.uuid(key=True, references="ingestion.imports.import_id")
    row: int = columns.bigint(key=True)
    problems: bytes = columns.blob()
    sealed: bytes = columns.blob()
