"""What must hold in supervision's store. `shouwang verify` asks."""

from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database

from supervision.checks import checks

TOLD_MAX: Final = 20


async def check(database: Database) -> list[str]:
    """Every fault in words, empty when all is well. Call when the topics have been read to their end."""
    found = [*await _people(database), *await _verdicts(database), *await _alerts(database)]
    return [*found, *await _owed_alerts(database)]


async def _people(database: Database) -> list[str]:
    """The entitlements of a person are those of the newest decision seen."""
    async with database.reading() as connection:
        rows = await connection.fetch(
            """SELECT s.person_id FROM
                 (SELECT person_id, max(version) AS newest FROM steps WHERE what = 'EntitlementsDecided'
                  GROUP BY person_id) s
               LEFT JOIN people p USING (person_id) WHERE p.version IS NULL OR p.version < s.newest LIMIT $1""",
            TOLD_MAX,
        )
    return [f"supervision: person {row['person_id']} is not at the newest decision seen" for row in rows]


async def _verdicts(database: Database) -> list[str]:
    """Every checked-out visit has one verdict that its findings bear out."""
    overdue = clock.now() - checks().entitlement_wait - timedelta(minutes=1)
    async with database.reading() as connection:
        rows = await connection.fetch(
            """SELECT task_id, verdict, blocks, waived, at FROM tasks t WHERE checked_out_at IS NOT NULL AND (
                 (verdict = 'waiting' AND at < $1)
                 OR (verdict = 'disputed') IS DISTINCT FROM EXISTS (
                      SELECT FROM unnest(string_to_array(blocks, ',')) b
                      WHERE b <> ALL (string_to_array(waived, ',')))
                 OR EXISTS (SELECT FROM unnest(string_to_array(blocks, ',')) b WHERE NOT EXISTS (
                      SELECT FROM alerts a WHERE a.subject = t.task_id::text AND a.check_id = b))) LIMIT $2""",
            overdue,
            TOLD_MAX,
        )
    return [f"supervision: visit {r['task_id']} is {r['verdict']} with findings [{r['blocks']}]" for r in rows]


async def _alerts(database: Database) -> list[str]:
    """A case has what its state says."""
    async with database.reading() as connection:
        rows = await connection.fetch(
            """SELECT alert_id, state FROM alerts WHERE
                 (state IN ('confirmed', 'dismissed') AND outcome IS DISTINCT FROM state)
                 OR (state = 'closed' AND (outcome IS NULL OR closed_at IS NULL OR decided_by IS NULL))
                 OR (state = 'explained' AND explanation IS NULL)
                 OR (state IN ('raised', 'explained') AND outcome IS NOT NULL) LIMIT $1""",
            TOLD_MAX,
        )
    return [f"supervision: alert {r['alert_id']} cannot be {r['state']}" for r in rows]


async def _owed_alerts(database: Database) -> list[str]:
    """Every missed visit, every urgent task without a provider and every overdue matter has its alert."""
    late = clock.now() - timedelta(minutes=1)
    async with database.reading() as connection:
        owed = await connection.fetch(
            """SELECT o.subject, o.check_id FROM (
                 SELECT task_id::text AS subject, 'visit_' || state AS check_id FROM tasks
                   WHERE state IN ('missed', 'unplaced')
                 UNION ALL SELECT subject::text, check_id FROM matters WHERE raised) o
               WHERE NOT EXISTS (SELECT FROM alerts a WHERE a.subject = o.subject AND a.check_id = o.check_id)
               LIMIT $1""",
            TOLD_MAX,
        )
        waiting = await connection.fetch(
            "SELECT subject, check_id, due_at FROM matters WHERE NOT raised AND due_at < $1 LIMIT $2", late, TOLD_MAX
        )
    return [
        *(f"supervision: {r['check_id']} of {r['subject']} has no alert" for r in owed),
        *(f"supervision: the alert {r['check_id']} of {r['subject']} was due at {r['due_at']}" for r in waiting),
    ]
