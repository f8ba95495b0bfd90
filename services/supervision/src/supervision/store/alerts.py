"""Store and read alerts. An alert is a case with deadlines, one per check and subject."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from shell.store import reads
from shell.store.reads import Select, select
from shell.store.transaction import Tx

from supervision.domain.alerts import AlertState, Finding, Severity
from supervision.tables import AlertRow


class Alert(NamedTuple):
    """A row of `alerts`."""

    alert_id: str
    check_id: str
    severity: Severity
    state: AlertState
    subject: str
    person_id: str | None
    provider: str | None
    division: str | None
    correlation_id: str | None
    raised_at: datetime
    explain_by: datetime
    decide_by: datetime
    close_by: datetime
    explanation: str | None
    explained_by: str | None
    outcome: str | None
    decision: str | None
    decided_by: str | None
    closed_at: datetime | None
    other_division: str | None


class Times(NamedTuple):
    """The instant of an alert and its deadlines."""

    raised_at: datetime
    explain_by: datetime
    decide_by: datetime
    close_by: datetime


class Withdrawn(NamedTuple):
    alert_id: str
    person_id: str | None
    division: str | None
    other_division: str | None
    correlation_id: str | None


class OpenCount(NamedTuple):
    division: str | None
    other_division: str | None
    check_id: str
    alerts: int


_ALERT: Final = ", ".join(Alert._fields)
_RAISE: Final = """
INSERT INTO alerts AS t (alert_id, check_id, severity, state, subject, person_id, provider, division, correlation_id,
                         other_division, raised_at, explain_by, decide_by, close_by)
SELECT a::uuid, b, c, 'raised', d, e::uuid, f, g, h::uuid, i, $10, $11, $12, $13
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
  AS u(a, b, c, d, e, f, g, h, i)
ON CONFLICT (alert_id) DO UPDATE SET
  severity = excluded.severity, division = excluded.division, other_division = excluded.other_division,
  state = 'raised', raised_at = excluded.raised_at, explain_by = excluded.explain_by,
  decide_by = excluded.decide_by, close_by = excluded.close_by, explanation = NULL, explained_by = NULL,
  outcome = NULL, decision = NULL, decided_by = NULL, closed_at = NULL
WHERE t.decided_by = 'system' OR (t.severity = 'warn' AND excluded.severity = 'block') OR (
  t.state IN ('raised', 'explained') AND (t.severity, t.division, t.other_division)
    IS DISTINCT FROM (excluded.severity, excluded.division, excluded.other_division))
RETURNING alert_id
"""
_WITHDRAW: Final = f"""
UPDATE alerts SET state = 'closed', outcome = $2, decided_by = 'system', decision = $3, closed_at = $4
WHERE alert_id = ANY($1::text[]::uuid[]) AND state IN ('raised', 'explained')
RETURNING {", ".join(Withdrawn._fields)}
"""  # noqa: S608
_LIST: Final = f"""
SELECT {_ALERT} FROM alerts
WHERE (cardinality($1::text[]) = 0 OR state = ANY($1)) AND ($2::text IS NULL OR check_id = $2)
  AND ($3::text IS NULL OR provider = $3) AND ($4::text[] IS NULL OR division = ANY($4) OR other_division = ANY($4))
  AND ($5::uuid IS NULL OR (raised_at, alert_id) < (SELECT raised_at, alert_id FROM alerts WHERE alert_id = $5))
ORDER BY raised_at DESC, alert_id DESC LIMIT $6
"""  # noqa: S608


async def upsert_alerts(tx: Tx, findings: Mapping[str, Finding], times: Times) -> set[str]:
    """Store an alert per finding. Returns the ids of alerts that are new, changed or open again.

    `findings`: by alert id.
    An alert opens again if the system had closed it, or if its warning is a block now. An undecided alert changes if
    its severity or area differs.
    """
    if not findings:
        return set()
    rows = [(alert_id, *findings[alert_id]) for alert_id in sorted(findings)]
    found = await tx.sql.fetch(_RAISE, *map(list, zip(*rows, strict=True)), *times)
    return {row[0] for row in found}


async def release_closed(tx: Tx, closed_before: Sequence[tuple[str, str]]) -> None:
    """Let `upsert_alerts` open alerts again that were closed before an instant.

    `closed_before`: (alert id, instant as ISO text).
    """
    if closed_before:
        await tx.sql.execute(
            """UPDATE alerts a SET decided_by = 'system' FROM unnest($1::text[], $2::text[]) AS u(alert_id, at)
               WHERE a.alert_id = u.alert_id::uuid AND a.state = 'closed' AND a.closed_at < u.at::timestamptz""",
            *map(list, zip(*closed_before, strict=True)),
        )


async def withdraw_alerts(
    tx: Tx, alert_ids: Sequence[str], outcome: str, reason: str, now: datetime
) -> list[Withdrawn]:
    """Close the alerts that no officer has decided. Returns them."""
    return [Withdrawn(*row) for row in await tx.sql.fetch(_WITHDRAW, sorted(alert_ids), outcome, reason, now)]


@reads.row(Alert)
def lock_alert(alert_id: str) -> Select[AlertRow]:
    return select(AlertRow).where(AlertRow.alert_id == alert_id).with_for_update()


async def save_explanation(tx: Tx, alert_id: str, text: str, by: str) -> Alert:
    row = await tx.sql.fetchrow(
        f"""UPDATE alerts SET state = 'explained', explanation = $2, explained_by = $3
            WHERE alert_id = $1 RETURNING {_ALERT}""",  # noqa: S608
        alert_id,
        text,
        by,
    )
    return Alert(*row)


async def save_decision(tx: Tx, alert_id: str, outcome: str, reason: str, by: str) -> Alert:
    row = await tx.sql.fetchrow(
        f"""UPDATE alerts SET state = $2, outcome = $2, decision = $3, decided_by = $4
            WHERE alert_id = $1 RETURNING {_ALERT}""",  # noqa: S608
        alert_id,
        outcome,
        reason,
        by,
    )
    return Alert(*row)


async def save_closing(tx: Tx, alert_id: str, now: datetime) -> Alert:
    row = await tx.sql.fetchrow(
        f"UPDATE alerts SET state = 'closed', closed_at = $2 WHERE alert_id = $1 RETURNING {_ALERT}",  # noqa: S608
        alert_id,
        now,
    )
    return Alert(*row)


async def list_alerts(
    connection: asyncpg.Connection,
    *,
    states: Sequence[str],
    check: str | None,
    provider: str | None,
    areas: list[str] | None,
    after: str | None,
    limit: int,
) -> list[Alert]:
    """List alerts, newest first. Empty `states`: all states. A filter that is None does not apply."""
    rows = await connection.fetch(_LIST, list(states), check, provider, areas, after, limit)
    return [Alert(*row) for row in rows]


async def list_alert_areas(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        """SELECT division FROM alerts WHERE division IS NOT NULL
           UNION SELECT other_division FROM alerts WHERE other_division IS NOT NULL"""
    )
    return [row[0] for row in rows]


async def count_open(connection: asyncpg.Connection) -> list[OpenCount]:
    """Count the alerts that are not closed, by areas and check."""
    rows = await connection.fetch(
        """SELECT division, other_division, check_id, count(*) AS count FROM alerts WHERE state <> 'closed'
           GROUP BY division, other_division, check_id"""
    )
    return [OpenCount(*row) for row in rows]
