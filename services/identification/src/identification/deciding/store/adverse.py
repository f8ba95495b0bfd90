"""Every SQL statement about reasons that are owed: who waits for them, and what they were told."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import asyncpg
from shell.store import bulk
from shell.store.transaction import Tx

from identification.tables import AdverseRow, UnexplainedRow

Reason = tuple[str, int, str, date, str, datetime, bytes]
_UNEXPLAINED: Final = ("person_id", "version", "adverse", "failed_at")
_TOLD: Final = ("person_id", "version", "item", "on_day", "outcome", "explained_at", "explanation")
_TAKE: Final = """
WITH taken AS (
  DELETE FROM unexplained WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM unexplained WHERE failed_at IS NULL
    ORDER BY person_id, version LIMIT $1 FOR UPDATE SKIP LOCKED))
  RETURNING person_id, version, adverse)
SELECT t.person_id, t.version, t.adverse, d.recorded_at, d.policy_digest
FROM taken t JOIN decisions d USING (person_id, version) ORDER BY t.person_id, t.version
"""


class Owed(NamedTuple):
    """A decision whose reasons are owed. `adverse`: JSON of what it withholds."""

    person_id: str
    version: int
    adverse: bytes
    recorded_at: datetime
    policy_digest: str


async def owe_reasons(tx: Tx, rows: Sequence[tuple[str, int, bytes]]) -> None:
    """`rows`: (person_id, version, what is adverse in it as JSON)."""
    await bulk.insert(tx, UnexplainedRow, _UNEXPLAINED[:3], rows)


async def take_unexplained(tx: Tx, limit: int) -> list[Owed]:
    """Whoever takes them writes the reasons down in this transaction, or lays them aside."""
    return [Owed._make(row) for row in await tx.sql.fetch(_TAKE, limit)]


async def lay_aside(tx: Tx, rows: Sequence[tuple[str, int, bytes, datetime]]) -> None:
    """`rows`: (person_id, version, what is adverse in it as JSON, when it could not be explained)."""
    await bulk.insert(tx, UnexplainedRow, _UNEXPLAINED, rows)


async def list_laid_aside(connection: asyncpg.Connection, limit: int) -> list[tuple[str, int]]:
    rows = await connection.fetch(
        "SELECT person_id, version FROM unexplained WHERE failed_at IS NOT NULL ORDER BY 1, 2 LIMIT $1", limit
    )
    return [tuple(row) for row in rows]


async def keep_reasons(tx: Tx, rows: Sequence[Reason]) -> None:
    """`rows`: (person_id, version, item, on_day, outcome, explained_at, explanation as JSON)."""
    await bulk.insert(tx, AdverseRow, _TOLD, rows)


async def list_reasons(
    connection: asyncpg.Connection, person_id: str, *, before: tuple[int, str] | None, limit: int
) -> list[Any]:
    """Newest decisions first, within one by item. `before`: version and item of the last one seen."""
    version, item = before or (None, None)
    rows: list[Any] = await connection.fetch(
        """SELECT a.version, a.item, a.on_day, a.outcome, a.explanation, d.decided_at, d.policy_digest
           FROM adverse a JOIN decisions d USING (person_id, version)
           WHERE a.person_id = $1 AND ($2::int IS NULL OR a.version < $2 OR (a.version = $2 AND a.item > $3))
           ORDER BY a.version DESC, a.item LIMIT $4""",
        person_id,
        version,
        item,
        limit,
    )
    return rows
