"""Every SQL statement about the corrections that sources are asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from shell.store.transaction import Tx


class Correction(NamedTuple):
    """A correction that a source is asked for. `rule`: why it is asked; `asked_by`: by an officer or a job."""

    correction_id: str
    source: str
    area: str
    event_id: str
    kind: str | None
    target: str
    code: str
    pointer: str
    reason: str
    rule: str
    asked_by: str
    asked_at: datetime
    deadline: datetime
    state: str
    answered_at: datetime | None
    answered_by: str | None


_COLUMNS: Final = ", ".join(Correction._fields)


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


class FoundEvent(NamedTuple):
    """An accepted event. `reason`: why it waits, if it does."""

    source: str
    kind: str
    status: str
    reason: str | None


async def find_event(connection: Any, event_id: str) -> FoundEvent | None:
    """None if no event with this id was accepted."""
    row = await connection.fetchrow(
        """SELECT r.source, r.kind, r.status, q.reason FROM received r
           LEFT JOIN quarantine q ON q.event_id = r.event_id AND q.state = 'open' WHERE r.event_id = $1""",
        event_id,
    )
    return FoundEvent(*row) if row is not None else None


class FoundRejection(NamedTuple):
    """`problems`: JSON."""

    source: str
    problems: bytes


async def find_rejection(connection: Any, event_id: str) -> FoundRejection | None:
    """The newest rejection of this event; None if it was never rejected."""
    row = await connection.fetchrow(
        "SELECT source, problems FROM rejections WHERE event_id = $1 ORDER BY recorded_at DESC LIMIT 1", event_id
    )
    return FoundRejection(*row) if row is not None else None


async def load_open_of(connection: Any, event_id: str) -> Correction:
    """The open request of an event. It must exist."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM corrections WHERE event_id = $1 AND state = 'open'",  # noqa: S608 - constant columns
        event_id,
    )
    return Correction(*row)


async def lock_correction(tx: Tx, correction_id: str) -> Correction | None:
    """None if there is none."""
    row = await tx.sql.fetchrow(
        f"SELECT {_COLUMNS} FROM corrections WHERE correction_id = $1 FOR UPDATE",  # noqa: S608 - constant columns
        correction_id,
    )
    return Correction(*row) if row is not None else None


async def list_corrections(
    connection: Any,
    sources: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    after: str | None,
    limit: int,
) -> list[Correction]:
    """Corrections of these sources in the order of their ids."""
    rows = await connection.fetch(
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
    return [Correction(*row) for row in rows]


class OpenCorrection(NamedTuple):
    """An open request and the present state of its event. `status`, `chain`, `household`: of the accepted event.
    `waiting`: its state in quarantine. `statements`: of the person, if they have changed since the last check."""

    correction_id: str
    source: str
    event_id: str
    target: str
    asked_at: datetime
    status: str | None
    chain: str | None
    household: str | None
    waiting: str | None
    statements: bytes | None


async def lock_open(tx: Tx, looked_before: datetime, margin: timedelta, limit: int) -> list[OpenCorrection]:
    """Open requests that were not checked since `looked_before`. `margin`: the longest time from the recording instant
    of a transaction to its commit."""
    rows = await tx.sql.fetch(
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
    return [OpenCorrection(*row) for row in rows]


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
    """The number of open requests, and of overdue ones among them."""
    row = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE deadline < $1) FROM corrections WHERE state = 'open'", at
    )
    return row[0], row[1]
