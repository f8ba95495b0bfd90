"""Alerts: cases with deadlines. One per check and subject, whoever finds it how often."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
from shell.store.transaction import Tx

_RAISE: Final = """
INSERT INTO alerts AS t (alert_id, check_id, severity, state, subject, person_id, provider, division, correlation_id,
                         other_division, raised_at, explain_by, decide_by, close_by)
SELECT a::uuid, b, c, 'raised', d, e::uuid, f, g, h::uuid, i, $10, $11, $12, $13
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
  AS u(a, b, c, d, e, f, g, h, i)
ON CONFLICT (alert_id) DO UPDATE SET
  severity = excluded.severity, state = 'raised', raised_at = excluded.raised_at, explain_by = excluded.explain_by,
  decide_by = excluded.decide_by, close_by = excluded.close_by, outcome = NULL, decision = NULL, decided_by = NULL,
  closed_at = NULL
WHERE t.decided_by = 'system' OR (t.state IN ('raised', 'explained') AND t.severity <> excluded.severity)
RETURNING alert_id
"""
_WITHDRAW: Final = """
UPDATE alerts SET state = 'closed', outcome = $2, decided_by = 'system', decision = $3, closed_at = $4
WHERE alert_id = ANY($1::text[]::uuid[]) AND state IN ('raised', 'explained')
RETURNING alert_id, person_id, division, other_division, correlation_id
"""
_LIST: Final = """
SELECT * FROM alerts
WHERE (cardinality($1::text[]) = 0 OR state = ANY($1)) AND ($2::text IS NULL OR check_id = $2)
  AND ($3::text IS NULL OR provider = $3) AND ($4::text[] IS NULL OR division = ANY($4) OR other_division = ANY($4))
  AND ($5::uuid IS NULL OR (raised_at, alert_id) < (SELECT raised_at, alert_id FROM alerts WHERE alert_id = $5))
ORDER BY raised_at DESC, alert_id DESC LIMIT $6
"""


async def upsert_alerts(tx: Tx, rows: Sequence[Sequence[Any]], times: Sequence[datetime]) -> set[str]:
    """alert_id, check_id, severity, subject, person_id, provider, division, correlation_id, other_division;
    `times`: raised, explain by, decide by, close by. Returns the ids of what is new, or open again after the machine
    had closed it."""
    if not rows:
        return set()
    ordered = sorted({row[0]: row for row in rows}.values(), key=lambda row: str(row[0]))
    found = await tx.sql.fetch(_RAISE, *[list(column) for column in zip(*ordered, strict=True)], *times)
    return {row[0] for row in found}


async def withdraw_alerts(tx: Tx, alert_ids: Sequence[str], outcome: str, reason: str, now: datetime) -> list[Any]:
    """Close what no officer has decided. Returns what was open."""
    found: list[Any] = await tx.sql.fetch(_WITHDRAW, sorted(alert_ids), outcome, reason, now)
    return found


async def lock_alert(tx: Tx, alert_id: str) -> Any:
    """The row, None when there is none."""
    return await tx.sql.fetchrow("SELECT * FROM alerts WHERE alert_id = $1 FOR UPDATE", alert_id)


async def save_explanation(tx: Tx, alert_id: str, text: str, by: str) -> Any:
    return await tx.sql.fetchrow(
        "UPDATE alerts SET state = 'explained', explanation = $2, explained_by = $3 WHERE alert_id = $1 RETURNING *",
        alert_id,
        text,
        by,
    )


async def save_decision(tx: Tx, alert_id: str, outcome: str, reason: str, by: str) -> Any:
    return await tx.sql.fetchrow(
        """UPDATE alerts SET state = $2, outcome = $2, decision = $3, decided_by = $4
           WHERE alert_id = $1 RETURNING *""",
        alert_id,
        outcome,
        reason,
        by,
    )


async def save_closing(tx: Tx, alert_id: str, now: datetime) -> Any:
    return await tx.sql.fetchrow(
        "UPDATE alerts SET state = 'closed', closed_at = $2 WHERE alert_id = $1 RETURNING *", alert_id, now
    )


async def list_alerts(
    connection: asyncpg.Connection,
    *,
    states: Sequence[str],
    check: str | None,
    provider: str | None,
    areas: list[str] | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    """Newest first."""
    rows: list[Any] = await connection.fetch(_LIST, list(states), check, provider, areas, after, limit)
    return rows


async def list_alert_areas(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        """SELECT division FROM alerts WHERE division IS NOT NULL
           UNION SELECT other_division FROM alerts WHERE other_division IS NOT NULL"""
    )
    return [row[0] for row in rows]


async def count_open(connection: asyncpg.Connection) -> list[Any]:
    """(division, other_division, check_id, count) of what is not closed."""
    rows: list[Any] = await connection.fetch(
        """SELECT division, other_division, check_id, count(*) AS count FROM alerts WHERE state <> 'closed'
           GROUP BY division, other_division, check_id"""
    )
    return rows
