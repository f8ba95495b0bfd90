"""Every SQL statement about what was told of coverage."""

from collections.abc import Sequence

from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.tables import CoverageRow

_COLUMNS = ("division", "version", "said")


async def lock_told(tx: Tx) -> dict[str, bytes]:
    """What was told last, by division. Nobody else tells until this transaction ends."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('ingestion.coverage'))")
    rows = await tx.sql.fetch("SELECT division, said FROM coverages")
    return {row[0]: row[1] for row in rows}


async def save_told(tx: Tx, rows: Sequence[tuple[str, int, bytes]]) -> None:
    await bulk.upsert(tx, CoverageRow, _COLUMNS, rows, key=("division",), guard="t.version < excluded.version")
