"""Every SQL statement about the corrections that sources are asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from shell.store.transaction import Tx

_COLUMNS: Final = """correction_id, source, area, event_id, kind, target, code, pointer, reason, rule, asked_by,
       asked_at, deadline, state, answered_at, answered_by"""


class NewCorrection(NamedTuple):
    correction_id: str
    area: str
    source: str
    event_id: str
    kind: str | None
    target: str
    code: str
    pointer: str
    reason: str


async def insert_corrections(
    tx: Tx,
    rows: Sequence[NewCorrection],
    rule: str,
    by: str,
    at: datetime,
    deadline: datetime,
) -> set[str]:
    """Returns the ids of the new requests. An event with an open request gets no other one."""
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(9)]
    found = await tx.sql.fetch(
        """INSERT INTO corrections (correction_id, area, source, event_id, kind, target, code, pointer, reason,
                                    rule, asked_by, asked_at, looked_at, deadline)
           SELECT u.*, $10, $11, $12, $12, $13
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[]) AS u
           ON CONFLICT (event_id) WHERE state = 'open' DO NOTHING RETURNING correction_id""",
        *columns,
        rule,
        by,
        at,
        deadline,
    )
    return {row[0] for row in found}


async def find_event(connection: Any, event_id: str) -> Any:
    """source, kind, status, and why it waits, of an accepted event; None when there is none."""
    return await connection.fetchrow(
        """SELECT r.source, r.kind, r.status, q.reason FROM received r
           LEFT JOIN quarantine q ON q.event_id = r.event_id AND q.state = 'open' WHERE r.event_id = $1""",
        event_id,
    )


async def find_rejection(connection: Any, event_id: str) -> Any:
    """source, problems of the last time this event was refused."""
    return await connection.fetchrow(
        "SELECT source, problems FROM rejections WHERE event_id = $1 ORDER BY recorded_at DESC LIMIT 1", event_id
    )


async def load_open_of(connection: Any, event_id: str) -> Any:
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM corrections WHERE event_id = $1 AND state = 'open'",  # noqa: S608 - constant columns
        event_id,
    )


async def lock_correction(tx: Tx, correction_id: str) -> Any:
    return await tx.sql.fetchrow(
        f"SELECT {_COLUMNS} FROM corrections WHERE correction_id = $1 FOR UPDATE",  # noqa: S608 - constant columns
        correction_id,
    )


async def list_corrections(
    connection: Any,
    sources: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM corrections
            WHERE source = ANY($1::text[]) AND state = $2 AND ($3::timestamptz IS NULL OR deadline < $3)
              AND ($4::uuid IS NULL OR correction_id > $4)
            ORDER BY correction_id LIMIT $5""",  # noqa: S608 - a constant list of columns
        list(sources),
        state,
        overdue_at,
        after,
        limit,
    )
    return rows


async def lock_open(tx: Tx, looked_before: datetime, margin: timedelta, limit: int) -> list[Any]:
    """Open requests not looked at since `looked_before`, with what has become of their events meanwhile. `margin`: how
    long a transaction may take after the instant it records."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT c.correction_id, c.source, c.event_id, c.target, c.asked_at, r.status, r.chain, r.household,
                  q.state AS waiting,
                  CASE WHEN p.recorded_at > c.looked_at - $2::interval THEN p.statements END AS statements
           FROM corrections c
             LEFT JOIN received r ON r.event_id = c.event_id
             LEFT JOIN quarantine q ON q.event_id = c.event_id
             LEFT JOIN persons p ON p.person_id = r.person_id
           WHERE c.state = 'open' AND c.looked_at < $1 ORDER BY c.looked_at LIMIT $3 FOR UPDATE OF c""",
        looked_before,
        margin,
        limit,
    )
    return rows


async def note_looked(tx: Tx, correction_ids: Sequence[str], at: datetime) -> None:
    await tx.sql.execute(
        "UPDATE corrections SET looked_at = $2 WHERE correction_id = ANY($1::uuid[])", list(correction_ids), at
    )


async def settle(tx: Tx, settled: Sequence[tuple[str, str, str | None]], at: datetime) -> None:
    """`settled`: correction_id, its state from now on, and the event that answered it."""
    await tx.sql.execute(
        """UPDATE corrections c SET state = u.state, answered_at = $4, answered_by = u.answered_by
           FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS u(correction_id, state, answered_by)
           WHERE c.correction_id = u.correction_id""",
        [s[0] for s in settled],
        [s[1] for s in settled],
        [s[2] for s in settled],
        at,
    )


async def count_open(connection: Any, at: datetime) -> tuple[int, int]:
    """How many are open, and how many of them longer than they should."""
    row = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE deadline < $1) FROM corrections WHERE state = 'open'", at
    )
    return row[0], row[1]
