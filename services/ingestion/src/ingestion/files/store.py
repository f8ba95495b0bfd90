"""Every SQL statement about imports."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from shell.store import bulk, reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx

from ingestion.files.tables import ImportRejectRow, ImportRow

_Bytes = bytes  # `bytes` is a field of StoredImport


class StoredImport(NamedTuple):
    """A row of `imports` (`ingestion.files.tables.ImportRow`)."""

    import_id: str
    source: str | None
    owner: str
    actor: str
    kind: str | None
    format: str
    mapping: _Bytes
    spool: str | None
    bytes: int
    bytes_read: int
    state: str
    problems: _Bytes
    headers: _Bytes
    rows_read: int
    accepted: int
    duplicates: int
    quarantined: int
    rejected: int
    formula_rows: int
    tables_skipped: int
    received_at: datetime
    worked_at: datetime | None
    settled_at: datetime | None


class NewImport(NamedTuple):
    """The columns of `imports` that an upload sets."""

    import_id: str
    source: str | None
    owner: str
    actor: str
    kind: str | None
    format: str
    mapping: _Bytes
    spool: str
    bytes: int
    received_at: datetime


class StoredReject(NamedTuple):
    """A rejected row. `row`: its number among the rows of the file; `problems`: JSON; `sealed`: encrypted cells."""

    row: int
    problems: bytes
    sealed: bytes


class Advance(NamedTuple):
    """The progress of an import by one batch. `rows_before`: the checkpoint at which the batch begins.

    The counts from `accepted` to `formula_rows` are of the batch alone; the other values are those of the file so
    far."""

    rows_before: int
    accepted: int
    duplicates: int
    quarantined: int
    rejected: int
    formula_rows: int
    tables_skipped: int
    bytes_read: int
    headers: bytes


async def insert_import(tx: Tx, new: NewImport) -> bool:
    """Insert an import. Returns False, and changes nothing, if the import exists already."""
    found = await tx.sql.fetchval(
        f"""INSERT INTO imports ({", ".join(NewImport._fields)})
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING 1""",  # noqa: S608
        *new,
    )
    return bool(found)


@reads.existing_row(StoredImport)
def lock_import(import_id: str) -> Select[ImportRow]:
    """Lock and return an import that exists."""
    return select(ImportRow).where(ImportRow.import_id == import_id).with_for_update()


async def restart(tx: Tx, import_id: str, spool: str) -> None:
    """Reopen an import whose file was sent again. The job continues at the checkpoint."""
    await tx.sql.execute(
        """UPDATE imports SET spool = $2, state = 'waiting', problems = '', settled_at = NULL, deaths = 0
           WHERE import_id = $1""",
        import_id,
        spool,
    )


@reads.row(StoredImport)
def load_import(import_id: str) -> Select[ImportRow]:
    return select(ImportRow).where(ImportRow.import_id == import_id)


@reads.rows(StoredImport)
def list_imports(source: str | None, owners: Sequence[str] | None, after: str | None, limit: int) -> Select[ImportRow]:
    """A page of the imports of a source, of areas (`owners`), or of all if both are None. They are sorted by id and
    begin after the id `after`."""
    return (
        select(ImportRow)
        .where(
            if_given(source, col(ImportRow.source) == source),
            if_given(owners, among(ImportRow.owner, owners)),
            if_given(after, col(ImportRow.import_id) > after),
        )
        .order_by(ImportRow.import_id)
        .limit(limit)
    )


async def count_open(connection: asyncpg.Connection, source: str | None) -> int:
    """The number of unfinished imports of a source; for None, of files whose events name their own sources."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM imports WHERE state IN ('waiting', 'running') AND source IS NOT DISTINCT FROM $1", source
    )
    return found


# ── steps of the job ────────────────────────────────────────────────────────────────────────────────────────


async def list_open(connection: asyncpg.Connection, urgent: Sequence[str], limit: int) -> list[str]:
    """The ids of imports that are not finished. Urgent kinds come first, then the import that has waited longest."""
    rows = await connection.fetch(
        """SELECT import_id FROM imports WHERE state IN ('waiting', 'running')
           ORDER BY coalesce(kind = ANY($1::text[]), false) DESC, worked_at NULLS FIRST, received_at LIMIT $2""",
        list(urgent),
        limit,
    )
    return [row[0] for row in rows]


async def try_lock(connection: asyncpg.Connection, import_id: str) -> bool:
    """Lock the import for one worker, until `unlock` or the end of the connection. False: another worker has it."""
    found: bool = await connection.fetchval(
        "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"import/{import_id}"
    )
    return found


async def unlock(connection: asyncpg.Connection, import_id: str) -> None:
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", f"import/{import_id}")


async def begin_step(connection: asyncpg.Connection, import_id: str, outlived: bool) -> int:
    """Count a step before it begins. Returns the number of earlier steps that did not end.

    `outlived`: the last step ended, but its end could not be stored."""
    found: int = await connection.fetchval(
        """UPDATE imports SET deaths = CASE WHEN $2 THEN 1 ELSE deaths + 1 END WHERE import_id = $1
           RETURNING deaths - 1""",
        import_id,
        outlived,
    )
    return found


async def end_step(connection: asyncpg.Connection, import_id: str, left: int) -> None:
    """Set the number of steps that did not end."""
    await connection.execute("UPDATE imports SET deaths = $2 WHERE import_id = $1", import_id, left)


async def put_off(tx: Tx, import_id: str, at: datetime) -> None:
    """Let other imports come first in `list_open`, as if this one was worked on at the instant `at`."""
    await tx.sql.execute("UPDATE imports SET worked_at = $2 WHERE import_id = $1", import_id, at)


async def advance(tx: Tx, import_id: str, by: Advance, at: datetime) -> bool:
    """Add the result of a batch and move the checkpoint. Returns False, and changes nothing, if the import has ended or
    its checkpoint is not at `by.rows_before`."""
    found = await tx.sql.fetchval(
        """UPDATE imports SET state = 'running', worked_at = $3, rows_read = rows_read + $4 + $5 + $6 + $7,
                  accepted = accepted + $4, duplicates = duplicates + $5, quarantined = quarantined + $6,
                  rejected = rejected + $7, formula_rows = formula_rows + $8, tables_skipped = $9, bytes_read = $10,
                  headers = $11
           WHERE import_id = $1 AND rows_read = $2 AND state IN ('waiting', 'running') RETURNING 1""",
        import_id,
        by.rows_before,
        at,
        by.accepted,
        by.duplicates,
        by.quarantined,
        by.rejected,
        by.formula_rows,
        by.tables_skipped,
        by.bytes_read,
        by.headers,
    )
    return bool(found)


async def insert_rejects(tx: Tx, rows: Sequence[tuple[str, int, bytes, bytes]]) -> None:
    await bulk.insert(tx, ImportRejectRow, ("import_id", "row", "problems", "sealed"), rows)


async def settle(
    tx: Tx, import_id: str, rows_read: int, state: str, problems: bytes, tables_skipped: int, at: datetime
) -> bool:
    """End an import. `state`: done or failed. Returns False, and changes nothing, if the import has ended
    already or its checkpoint is not at `rows_read`."""
    found = await tx.sql.fetchval(
        """UPDATE imports SET state = $3, problems = $4, tables_skipped = $5, settled_at = $6, spool = NULL,
                  bytes_read = CASE WHEN $3 = 'done' THEN bytes ELSE bytes_read END
           WHERE import_id = $1 AND rows_read = $2 AND state IN ('waiting', 'running') RETURNING 1""",
        import_id,
        rows_read,
        state,
        problems,
        tables_skipped,
        at,
    )
    return bool(found)


# ── rejects ─────────────────────────────────────────────────────────────────────────────────────────────────


@reads.rows(StoredReject)
def list_rejects(import_id: str, after: int, limit: int) -> Select[ImportRejectRow]:
    """A page of rejected rows, in the order of the file. `after`: number of the last row of the page before."""
    return (
        select(ImportRejectRow)
        .where(ImportRejectRow.import_id == import_id, ImportRejectRow.row > after)
        .order_by(col(ImportRejectRow.row))
        .limit(limit)
    )


async def count_reject_bytes(connection: asyncpg.Connection, import_id: str) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(octet_length(sealed)), 0)::bigint FROM import_rejects WHERE import_id = $1", import_id
    )
    return found


async def delete_old_rejects(tx: Tx, before: datetime, limit: int) -> int:
    """Delete at most `limit` rejected rows of imports that ended before an instant; return how many."""
    rows = await tx.sql.fetch(
        """DELETE FROM import_rejects WHERE ctid = ANY(ARRAY(
             SELECT r.ctid FROM import_rejects r JOIN imports i USING (import_id)
             WHERE i.settled_at < $1 AND i.rejected > 0 LIMIT $2)) RETURNING 1""",
        before,
        limit,
    )
    return len(rows)


async def used_spools(connection: asyncpg.Connection, spools: Collection[str]) -> set[str]:
    """Those of the spooled files that an import needs."""
    rows = await connection.fetch("SELECT spool FROM imports WHERE spool = ANY($1::uuid[])", list(spools))
    return {row[0] for row in rows}
