"""Statements for `verify`: rows that contradict each other."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from shell.store import reads
from shell.store.reads import Select, col, select

from supervision.tables import MatterRow

FOUND_MAX: Final = 20


class VisitFault(NamedTuple):
    task_id: str
    verdict: str
    blocks: str


class AlertFault(NamedTuple):
    alert_id: str
    state: str


class MissingAlert(NamedTuple):
    subject: str
    check_id: str


class LateMatter(NamedTuple):
    subject: str
    check_id: str
    due_at: datetime


async def people_behind(connection: asyncpg.Connection) -> list[str]:
    """People whose stored decision is older than the newest one in the steps."""
    rows = await connection.fetch(
        """SELECT s.person_id FROM
             (SELECT person_id, max(version) AS newest FROM steps WHERE what = 'EntitlementsDecided'
              GROUP BY person_id) s
           LEFT JOIN people p USING (person_id) WHERE p.version IS NULL OR p.version < s.newest LIMIT $1""",
        FOUND_MAX,
    )
    return [row[0] for row in rows]


async def wrong_verdicts(connection: asyncpg.Connection, wait_until: datetime) -> list[VisitFault]:
    """Return completed visits with a fault: the visit has waited since before `wait_until`, its verdict contradicts its
    blocks, or a block has no alert. Warnings are not compared."""
    rows = await connection.fetch(
        """SELECT task_id, verdict, blocks FROM tasks t WHERE checked_out_at IS NOT NULL AND (
             (verdict = 'waiting' AND at < $1)
             OR (verdict = 'disputed') IS DISTINCT FROM EXISTS (
                  SELECT FROM unnest(string_to_array(blocks, ',')) b
                  WHERE b <> ALL (string_to_array(waived, ',')))
             OR EXISTS (SELECT FROM unnest(string_to_array(blocks, ',')) b WHERE NOT EXISTS (
                  SELECT FROM alerts a WHERE a.subject = t.task_id::text AND a.check_id = b))) LIMIT $2""",
        wait_until,
        FOUND_MAX,
    )
    return [VisitFault(*row) for row in rows]


async def wrong_alerts(connection: asyncpg.Connection) -> list[AlertFault]:
    """Alerts without the fields that belong to their state."""
    rows = await connection.fetch(
        """SELECT alert_id, state FROM alerts WHERE
             (state IN ('confirmed', 'dismissed') AND outcome IS DISTINCT FROM state)
             OR (state = 'closed' AND (outcome IS NULL OR closed_at IS NULL OR decided_by IS NULL))
             OR (state = 'explained' AND explanation IS NULL)
             OR (state IN ('raised', 'explained') AND outcome IS NOT NULL) LIMIT $1""",
        FOUND_MAX,
    )
    return [AlertFault(*row) for row in rows]


async def missing_alerts(connection: asyncpg.Connection) -> list[MissingAlert]:
    """Return missed visits, urgent tasks without a provider, and matters marked as raised, that have no alert."""
    rows = await connection.fetch(
        """SELECT o.subject, o.check_id FROM (
             SELECT task_id::text AS subject, 'visit_' || state AS check_id FROM tasks
               WHERE state IN ('missed', 'unplaced')
             UNION ALL SELECT subject::text, check_id FROM matters WHERE raised) o
           WHERE NOT EXISTS (SELECT FROM alerts a WHERE a.subject = o.subject AND a.check_id = o.check_id)
           LIMIT $1""",
        FOUND_MAX,
    )
    return [MissingAlert(*row) for row in rows]


@reads.rows(LateMatter)
def late_matters(before: datetime) -> Select[MatterRow]:
    """Matters that were due before an instant and are not raised yet."""
    return select(MatterRow).where(~col(MatterRow.raised), MatterRow.due_at < before).limit(FOUND_MAX)
