"""Every SQL statement about the cases of claimed places that officers and jobs use."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from shell.store.transaction import Tx

_COLUMNS: Final = """case_id, person_id, chain, source, kind, division, county_left, owner, group_id, state, since,
       deadline, silent_on, escalated_at, settled_at, settled_by, note"""


async def list_owners(connection: Any, state: str) -> list[str]:
    """The areas that own a case in this state: one look per area, however many cases there are."""
    rows = await connection.fetch(
        """WITH RECURSIVE next AS (
             (SELECT owner FROM place_cases WHERE state = $1 ORDER BY owner LIMIT 1)
             UNION ALL
             SELECT (SELECT c.owner FROM place_cases c WHERE c.state = $1 AND c.owner > next.owner
                     ORDER BY c.owner LIMIT 1)
             FROM next WHERE next.owner IS NOT NULL)
           SELECT owner FROM next WHERE owner IS NOT NULL""",
        state,
    )
    return [row[0] for row in rows]


async def list_cases(
    connection: Any,
    owners: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    group_id: str | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    """Cases of these owners in the order of their ids, of one group where `group_id` is given."""
    rows: list[Any] = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM place_cases
            WHERE owner = ANY($1::text[]) AND state = $2 AND ($3::timestamptz IS NULL OR deadline < $3)
              AND ($4::uuid IS NULL OR group_id = $4) AND ($5::uuid IS NULL OR case_id > $5)
            ORDER BY case_id LIMIT $6""",  # noqa: S608 - a constant list of columns
        list(owners),
        state,
        overdue_at,
        group_id,
        after,
        limit,
    )
    return rows


async def load_case(connection: Any, case_id: str) -> Any:
    """One case without a lock; None when there is none."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM place_cases WHERE case_id = $1",  # noqa: S608 - a constant list of columns
        case_id,
    )


async def lock_open(tx: Tx, case_ids: Sequence[str]) -> dict[str, Any]:
    """Those of these cases that are still open, by id. Lock their persons first, as recording does."""
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM place_cases WHERE case_id = ANY($1::uuid[]) AND state = 'open'
            ORDER BY case_id FOR UPDATE""",  # noqa: S608 - a constant list of columns
        list(case_ids),
    )
    return {row["case_id"]: row for row in rows}


async def note_decision(tx: Tx, case_ids: Sequence[str], by: str, note: str) -> None:
    """Notes the officer who settled these cases, and the reason."""
    await tx.sql.execute(
        "UPDATE place_cases SET settled_by = $2, note = $3 WHERE case_id = ANY($1::uuid[]) AND state <> 'open'",
        list(case_ids),
        by,
        note,
    )


async def list_silent(tx: Tx, today: date, limit: int) -> list[Any]:
    """case_id, person_id of open cases whose time to object has passed, the oldest first. A group that officers have
    decided is settled by that decision."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT case_id, person_id FROM place_cases c
           WHERE state = 'open' AND silent_on <= $1
             AND NOT EXISTS (SELECT 1 FROM groups g WHERE g.group_id = c.group_id AND g.state = 'settling')
           ORDER BY silent_on, case_id LIMIT $2""",
        today,
        limit,
    )
    return rows


async def list_overdue(tx: Tx, at: datetime, limit: int) -> list[Any]:
    """case_id, owner of cases that nobody has settled in time. A grouped case is escalated with its group; the nation
    keeps the cases that have reached it."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT case_id, owner FROM place_cases
           WHERE state = 'open' AND deadline <= $1 AND group_id IS NULL
             AND (owner <> '000000' OR escalated_at IS NULL)
           ORDER BY deadline LIMIT $2 FOR UPDATE SKIP LOCKED""",
        at,
        limit,
    )
    return rows


async def escalate(tx: Tx, owners: Mapping[str, str], at: datetime, deadline: datetime) -> None:
    """`owners`: by case the area that answers for it from now on, until the new `deadline`."""
    await tx.sql.execute(
        """UPDATE place_cases c SET owner = u.owner, escalated_at = $3, deadline = $4
           FROM unnest($1::uuid[], $2::text[]) AS u(case_id, owner) WHERE c.case_id = u.case_id""",
        list(owners),
        list(owners.values()),
        at,
        deadline,
    )


# ── hints ───────────────────────────────────────────────────────────────────────────────────────────────────


async def list_due_hints(tx: Tx, today: date, limit: int) -> list[Any]:
    """chain, person_id, ends_on of hints that end today or should have ended before."""
    rows: list[Any] = await tx.sql.fetch(
        "SELECT chain, person_id, ends_on FROM hints WHERE ends_on <= $1 ORDER BY ends_on, chain LIMIT $2", today, limit
    )
    return rows


async def remove_hints(tx: Tx, chains: Sequence[str]) -> None:
    await tx.sql.execute("DELETE FROM hints WHERE chain = ANY($1::uuid[])", list(chains))


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────


async def count_open(connection: Any) -> list[Any]:
    """table, owner, rows of all that wait for officers."""
    rows: list[Any] = await connection.fetch(
        """SELECT 'quarantine', owner, count(*) FROM quarantine WHERE state = 'open' GROUP BY owner
           UNION ALL SELECT 'place_cases', owner, count(*) FROM place_cases WHERE state = 'open' GROUP BY owner
           UNION ALL SELECT 'groups', owner, count(*) FROM groups WHERE state <> 'settled' GROUP BY owner"""
    )
    return rows
