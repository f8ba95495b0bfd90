"""Every SQL statement about the coverage declared last."""

from collections.abc import Sequence
from typing import NamedTuple

from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.register.tables import CoverageRow


class Declared(NamedTuple):
    """A declared coverage. `said`: the exact JSON of the `CoverageDeclared` that was emitted."""

    division: str
    version: int
    said: bytes


async def lock_declared(tx: Tx) -> dict[str, bytes]:
    """The JSON of the last `CoverageDeclared` of each division. Locks out other writers until the transaction ends."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('ingestion.coverage'))")
    rows = await tx.sql.fetch("SELECT division, said FROM coverages")
    return {row[0]: row[1] for row in rows}


async def save_declared(tx: Tx, rows: Sequence[Declared]) -> None:
    await bulk.upsert(tx, CoverageRow, Declared._fields, rows, key=("division",), guard="t.version < excluded.version")
