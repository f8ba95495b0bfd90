"""SQL of adverse decisions: the queue of decisions whose reasons are owed, and the stored reasons."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg
from shell.store import bulk, reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from identification.deciding.domain.adverse import AdverseOutcome
from identification.tables import AdverseRow, UnexplainedRow

_UNEXPLAINED: Final = ("person_id", "version", "adverse", "failed_at")
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
    """A decision whose reasons are owed. `adverse`: JSON of its adverse outcomes."""

    person_id: str
    version: int
    adverse: bytes
    recorded_at: datetime
    policy_digest: str


class Reason(NamedTuple):
    """A row of `adverse`. `explanation`: JSON."""

    person_id: str
    version: int
    item: str
    on_day: date
    outcome: AdverseOutcome
    explained_at: datetime
    explanation: bytes


class ListedReason(NamedTuple):
    """A reason with the time and the lists of its decision. `explanation`: JSON."""

    version: int
    item: str
    on_day: date
    outcome: AdverseOutcome
    explanation: bytes
    decided_at: datetime
    policy_digest: str


class DecisionKey(NamedTuple):
    person_id: str
    version: int


async def owe_reasons(tx: Tx, rows: Sequence[tuple[str, int, bytes]]) -> None:
    """Add decisions to the queue. `rows`: (person_id, version, adverse outcomes as JSON)."""
    await bulk.insert(tx, UnexplainedRow, _UNEXPLAINED[:3], rows)


async def take_unexplained(tx: Tx, limit: int) -> list[Owed]:
    """Remove decisions from the queue and return them, at most `limit`, without those that failed before.

    The caller stores the reasons, or calls `set_apart`, in this transaction.
    """
    return [Owed._make(row) for row in await tx.sql.fetch(_TAKE, limit)]


async def set_apart(tx: Tx, rows: Sequence[tuple[str, int, bytes, datetime]]) -> None:
    """Store decisions whose explanation failed. `rows`: (person_id, version, adverse outcomes as JSON, time of the
    failure)."""
    await bulk.insert(tx, UnexplainedRow, _UNEXPLAINED, rows)


@reads.rows(DecisionKey)
def list_set_apart(limit: int) -> Select[UnexplainedRow]:
    """Return decisions whose explanation failed, by person and version."""
    return (
        select(UnexplainedRow)
        .where(col(UnexplainedRow.failed_at).is_not(None))
        .order_by(UnexplainedRow.person_id, col(UnexplainedRow.version))
        .limit(limit)
    )


async def append_reasons(tx: Tx, rows: Sequence[Reason]) -> None:
    await bulk.insert(tx, AdverseRow, Reason._fields, rows)


async def list_reasons(
    connection: asyncpg.Connection, person_id: str, *, before: tuple[int, str] | None, limit: int
) -> list[ListedReason]:
    """Return a page of the reasons of a person, newest decision first, then by item.

    `before`: version and item of the last row of the previous page.
    """
    version, item = before or (None, None)
    rows = await connection.fetch(
        """SELECT a.version, a.item, a.on_day, a.outcome, a.explanation, d.decided_at, d.policy_digest
           FROM adverse a JOIN decisions d USING (person_id, version)
           WHERE a.person_id = $1 AND ($2::int IS NULL OR a.version < $2 OR (a.version = $2 AND a.item > $3))
           ORDER BY a.version DESC, a.item LIMIT $4""",
        person_id,
        version,
        item,
        limit,
    )
    return [ListedReason._make(row) for row in rows]
