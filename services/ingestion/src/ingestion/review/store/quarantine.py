"""Every SQL statement about events that wait for an officer, and of the checks of `verify`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from shell.store.transaction import Tx

# ── quarantine ──────────────────────────────────────────────────────────────────────────────────────────────

_QUARANTINE: Final = """event_id, person_id, source, kind, reason, waits_for, owner, state, since, deadline,
       escalated_at, settled_at, settled_by, note, part_of, group_id, chain, first_by, first_outcome, refuted_by"""


async def list_owners(connection: Any, state: str) -> list[str]:
    """The areas that own anything in quarantine: one look per area, however many rows there are."""
    rows = await connection.fetch(
        """WITH RECURSIVE next AS (
             (SELECT owner FROM quarantine WHERE state = $1 ORDER BY owner LIMIT 1)
             UNION ALL
             SELECT (SELECT q.owner FROM quarantine q WHERE q.state = $1 AND q.owner > next.owner
                     ORDER BY q.owner LIMIT 1)
             FROM next WHERE next.owner IS NOT NULL)
           SELECT owner FROM next WHERE owner IS NOT NULL""",
        state,
    )
    return [row[0] for row in rows]


async def list_quarantine(
    connection: Any,
    owners: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    group_id: str | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    """Rows of these owners that belong to no group, or to `group_id`."""
    rows: list[Any] = await connection.fetch(
        f"""SELECT {_QUARANTINE} FROM quarantine
            WHERE owner = ANY($1::text[]) AND state = $2 AND ($3::timestamptz IS NULL OR deadline < $3)
              AND ($4::uuid IS NULL OR event_id > $4) AND group_id IS NOT DISTINCT FROM $6::uuid
            ORDER BY event_id LIMIT $5""",  # noqa: S608 - a constant list of columns
        list(owners),
        state,
        overdue_at,
        after,
        limit,
        group_id,
    )
    return rows


async def person_of(connection: Any, event_id: str) -> str | None:
    """Of whom something waits, or waited; None when there is no such row."""
    found: str | None = await connection.fetchval("SELECT person_id FROM quarantine WHERE event_id = $1", event_id)
    return found


async def load_quarantined(connection: Any, event_id: str) -> Any:
    return await connection.fetchrow(
        f"SELECT {_QUARANTINE} FROM quarantine WHERE event_id = $1",  # noqa: S608 - a constant list of columns
        event_id,
    )


async def list_waiting_signs_of_life(connection: Any, person_ids: Sequence[str]) -> dict[str, list[str]]:
    """Event ids of waiting `alive` events by person."""
    rows = await connection.fetch(
        """SELECT person_id, array_agg(event_id::text ORDER BY event_id) FROM quarantine
           WHERE person_id = ANY($1::uuid[]) AND state = 'open' AND kind = 'alive' GROUP BY person_id""",
        list(person_ids),
    )
    return {row[0]: list(row[1]) for row in rows}


async def note_first(tx: Tx, event_id: str, by: str, outcome: str) -> None:
    """The first of two officers has decided; a second one with the same decision makes it effective."""
    await tx.sql.execute(
        "UPDATE quarantine SET first_by = $2, first_outcome = $3 WHERE event_id = $1", event_id, by, outcome
    )


async def note_release(tx: Tx, event_id: str, note: str) -> None:
    await tx.sql.execute("UPDATE quarantine SET note = $2 WHERE event_id = $1", event_id, note)


async def discard(tx: Tx, event_id: str, at: datetime, by: str, note: str, refuted_by: str | None = None) -> bool:
    """Park the event for good, behind the lock of its person. False when it does not wait any more."""
    person_id = await tx.sql.fetchval(
        """UPDATE quarantine SET state = 'discarded', settled_at = $2, settled_by = $3, note = $4, refuted_by = $5
           WHERE event_id = $1 AND state = 'open' RETURNING person_id""",
        event_id,
        at,
        by,
        note,
        refuted_by,
    )
    if person_id is not None:
        await tx.sql.execute("UPDATE received SET status = 'parked' WHERE event_id = $1", event_id)
        await tx.sql.execute("UPDATE persons SET waiting = waiting - 1 WHERE person_id = $1", person_id)
    return person_id is not None


async def list_overdue(tx: Tx, at: datetime, limit: int) -> list[Any]:
    """event_id, owner, source, kind, reason, part_of, escalated_at of what nobody has settled in time. An event of a
    group is escalated with its group. The nation keeps what has reached it."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT event_id, owner, source, kind, reason, part_of, escalated_at FROM quarantine
           WHERE state = 'open' AND deadline <= $1 AND group_id IS NULL
             AND (owner <> '000000' OR escalated_at IS NULL)
           ORDER BY deadline LIMIT $2 FOR UPDATE SKIP LOCKED""",
        at,
        limit,
    )
    return rows


async def escalate(tx: Tx, owners: Sequence[tuple[str, str]], at: datetime, deadline: datetime) -> None:
    """`owners`: event id → the area that answers for it from now on, until the new `deadline`."""
    await tx.sql.execute(
        """UPDATE quarantine q SET owner = u.owner, escalated_at = $3, deadline = $4,
                  first_by = NULL, first_outcome = NULL
           FROM unnest($1::uuid[], $2::text[]) AS u(event_id, owner) WHERE q.event_id = u.event_id""",
        [event_id for event_id, _ in owners],
        [owner for _, owner in owners],
        at,
        deadline,
    )


# ── verification ────────────────────────────────────────────────────────────────────────────────────────────


async def contradictions(connection: Any, limit: int) -> list[str]:
    """What one table says against another about what waits, in words."""
    rows = await connection.fetch(
        """SELECT 'event ' || r.event_id || ': ' || r.status || ', but ' || coalesce(q.state, 'not') || ' in quarantine'
           FROM received r LEFT JOIN quarantine q USING (event_id)
           WHERE r.status <> CASE coalesce(q.state, 'released')
                               WHEN 'open' THEN 'quarantined' WHEN 'released' THEN 'applied' ELSE 'parked' END
           UNION ALL
           SELECT format('person %s: %s counted as waiting, %s do', p.person_id, p.waiting, coalesce(q.open, 0))
           FROM persons p LEFT JOIN (SELECT person_id, count(*) AS open FROM quarantine WHERE state = 'open'
                                     GROUP BY person_id) q USING (person_id)
           WHERE p.waiting <> coalesce(q.open, 0)
           LIMIT $1""",
        limit,
    )
    return [row[0] for row in rows]


async def list_persons_after(connection: Any, after: str | None, limit: int) -> list[str]:
    """Person ids, page by page."""
    rows = await connection.fetch(
        "SELECT person_id FROM persons WHERE $1::uuid IS NULL OR person_id > $1 ORDER BY person_id LIMIT $2",
        after,
        limit,
    )
    return [row[0] for row in rows]
