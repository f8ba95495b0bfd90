"""Every SQL statement of imports."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.files.tables import ImportRejectRow

_COLUMNS: Final = """import_id, source, owner, actor, kind, format, mapping, spool, bytes, bytes_read, state, problems,
       headers, rows_read, accepted, duplicates, quarantined, rejected, formula_rows, tables_skipped, received_at,
       worked_at, settled_at"""


class Advance(NamedTuple):
    """What one batch of rows came to. `rows_before`: the checkpoint it starts from."""

    rows_before: int
    accepted: int
    duplicates: int
    quarantined: int
    rejected: int
    formula_rows: int
    tables_skipped: int
    bytes_read: int
    headers: bytes


async def insert_import(
    tx: Tx,
    *,
    import_id: str,
    source: str | None,
    owner: str,
    actor: str,
    kind: str | None,
    format: str,
    mapping: bytes,
    spool: str,
    size: int,
    at: datetime,
) -> bool:
    """False when this file was sent before."""
    found = await tx.sql.fetchval(
        """INSERT INTO imports (import_id, source, owner, actor, kind, format, mapping, spool, bytes, received_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING 1""",
        import_id,
        source,
        owner,
        actor,
        kind,
        format,
        mapping,
        spool,
        size,
        at,
    )
    return bool(found)


async def lock_import(tx: Tx, import_id: str) -> Any:
    return await tx.sql.fetchrow(
        f"SELECT {_COLUMNS} FROM imports WHERE import_id = $1 FOR UPDATE",  # noqa: S608 - a constant list of columns
        import_id,
    )


async def restart(tx: Tx, import_id: str, spool: str) -> None:
    """The file is here again: go on from the checkpoint."""
    await tx.sql.execute(
        """UPDATE imports SET spool = $2, state = 'waiting', problems = '', settled_at = NULL, deaths = 0
           WHERE import_id = $1""",
        import_id,
        spool,
    )


async def load_import(connection: Any, import_id: str) -> Any:
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM imports WHERE import_id = $1",  # noqa: S608 - a constant list of columns
        import_id,
    )


async def list_imports(
    connection: Any, source: str | None, owners: Sequence[str] | None, after: str | None, limit: int
) -> list[Any]:
    """Of a source, or of areas, or (both None) all."""
    rows: list[Any] = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM imports
            WHERE ($1::text IS NULL OR source = $1) AND ($2::text[] IS NULL OR owner = ANY($2))
              AND ($3::uuid IS NULL OR import_id > $3)
            ORDER BY import_id LIMIT $4""",  # noqa: S608 - a constant list of columns
        source,
        owners,
        after,
        limit,
    )
    return rows


async def count_open(connection: Any, source: str | None) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM imports WHERE state IN ('waiting', 'running') AND source IS NOT DISTINCT FROM $1", source
    )
    return found


# ── working ─────────────────────────────────────────────────────────────────────────────────────────────────


async def list_open(connection: Any, urgent: Sequence[str], limit: int) -> list[str]:
    """Imports with rows left: urgent kinds first, then whoever has waited longest."""
    rows = await connection.fetch(
        """SELECT import_id FROM imports WHERE state IN ('waiting', 'running')
           ORDER BY coalesce(kind = ANY($1::text[]), false) DESC, worked_at NULLS FIRST, received_at LIMIT $2""",
        list(urgent),
        limit,
    )
    return [row[0] for row in rows]


async def try_lock(connection: Any, import_id: str) -> bool:
    """Until `unlock`, or the end of the connection: nobody else works on it meanwhile."""
    found: bool = await connection.fetchval(
        "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"import/{import_id}"
    )
    return found


async def unlock(connection: Any, import_id: str) -> None:
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", f"import/{import_id}")


async def begin_step(connection: Any, import_id: str, outlived: bool) -> int:
    """Count a step, committed before it begins. Returns how many before it never ended; `outlived`: none."""
    found: int = await connection.fetchval(
        """UPDATE imports SET deaths = CASE WHEN $2 THEN 1 ELSE deaths + 1 END WHERE import_id = $1
           RETURNING deaths - 1""",
        import_id,
        outlived,
    )
    return found


async def end_step(connection: Any, import_id: str, left: int) -> None:
    await connection.execute("UPDATE imports SET deaths = $2 WHERE import_id = $1", import_id, left)


async def put_off(tx: Tx, import_id: str, at: datetime) -> None:
    await tx.sql.execute("UPDATE imports SET worked_at = $2 WHERE import_id = $1", import_id, at)


async def advance(tx: Tx, import_id: str, by: Advance, at: datetime) -> bool:
    """Move the checkpoint. False when it is not where this batch began."""
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
    """False when the checkpoint is elsewhere."""
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


async def list_rejects(connection: Any, import_id: str, after: int, limit: int) -> list[Any]:
    """row, problems, sealed, in the order of the file."""
    rows: list[Any] = await connection.fetch(
        """SELECT row, problems, sealed FROM import_rejects WHERE import_id = $1 AND row > $2 ORDER BY row LIMIT $3""",
        import_id,
        after,
        limit,
    )
    return rows


async def count_reject_bytes(connection: Any, import_id: str) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(octet_length(sealed)), 0)::bigint FROM import_rejects WHERE import_id = $1", import_id
    )
    return found


async def delete_old_rejects(tx: Tx, before: datetime, limit: int) -> int:
    rows = await tx.sql.fetch(
        """DELETE FROM import_rejects WHERE ctid = ANY(ARRAY(
             SELECT r.ctid FROM import_rejects r JOIN imports i USING (import_id)
             WHERE i.settled_at < $1 AND i.rejected > 0 LIMIT $2)) RETURNING 1""",
        before,
        limit,
    )
    return len(rows)


async def used_spools(connection: Any, spools: Collection[str]) -> set[str]:
    rows = await connection.fetch("SELECT spool FROM imports WHERE spool = ANY($1::uuid[])", list(spools))
    return {row[0] for row in rows}
