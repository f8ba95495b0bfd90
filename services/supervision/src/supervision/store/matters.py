"""Open matters of people, with the instant at which each becomes an alert."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from shell.store.transaction import Tx

_INSERT: Final = """
INSERT INTO matters (person_id, check_id, subject, since, due_at, division, correlation_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::uuid[])
ON CONFLICT DO NOTHING
"""
_TAKE_DUE: Final = """
UPDATE matters m SET raised = true FROM (
  SELECT person_id, check_id FROM matters WHERE NOT raised AND due_at <= $1
  ORDER BY due_at, person_id LIMIT $2 FOR UPDATE SKIP LOCKED) due
WHERE m.person_id = due.person_id AND m.check_id = due.check_id
RETURNING m.person_id, m.check_id, m.subject, m.division, m.correlation_id
"""


async def list_matters(tx: Tx, person_ids: Sequence[str]) -> list[Any]:
    """(person_id, check_id, subject) of the open matters of these people, locked."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT person_id, check_id, subject FROM matters WHERE person_id = ANY($1::uuid[])
           ORDER BY person_id, check_id FOR UPDATE""",
        person_ids,
    )
    return rows


async def insert_matters(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """person_id, check_id, subject, since, due_at, division, correlation_id; unique by person and check."""
    if rows:
        await tx.sql.execute(_INSERT, *[list(column) for column in zip(*sorted(rows), strict=True)])


async def delete_matters(tx: Tx, keys: Sequence[tuple[str, str]]) -> None:
    """`keys`: (person_id, check_id)."""
    if keys:
        await tx.sql.execute(
            """DELETE FROM matters m USING unnest($1::uuid[], $2::text[]) AS u(person_id, check_id)
               WHERE m.person_id = u.person_id AND m.check_id = u.check_id""",
            *[list(column) for column in zip(*sorted(keys), strict=True)],
        )


async def take_due_matters(tx: Tx, now: datetime, limit: int) -> list[Any]:
    """The matters that have become due and are no alerts yet, at most `limit`; they are marked as raised."""
    rows: list[Any] = await tx.sql.fetch(_TAKE_DUE, now, limit)
    return rows
