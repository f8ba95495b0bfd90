"""Every SQL statement about reasons that are owed: who waits for them, and what they were told."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from common import bulk
from common.transaction import Tx

from identification.tables import AdverseRow, UnexplainedRow

_UNEXPLAINED: Final = ("person_id", "version", "adverse")
_TOLD: Final = ("person_id", "version", "item", "on_day", "outcome", "explained_at", "explanation")
_TAKE: Final = """
WITH taken AS (
  DELETE FROM unexplained WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM unexplained ORDER BY person_id, version LIMIT $1 FOR UPDATE SKIP LOCKED))
  RETURNING person_id, version, adverse)
SELECT t.person_id, t.version, t.adverse, d.recorded_at, d.policy_digest, p.facts, p.abilities, p.choices
FROM taken t JOIN decisions d USING (person_id, version) JOIN persons p USING (person_id)
"""


async def owe_reasons(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
    """`rows`: (person_id, version, what is adverse in it as JSON)."""
    await bulk.insert(tx, UnexplainedRow, _UNEXPLAINED, rows)


async def take_unexplained(tx: Tx, limit: int) -> list[Any]:
    """Decisions whose reasons are owed, with what they rest on; whoever takes them writes the reasons down."""
    rows: list[Any] = await tx.sql.fetch(_TAKE, limit)
    return rows


async def keep_reasons(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
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
