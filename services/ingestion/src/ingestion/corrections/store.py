"""Every SQL statement of correction requests after their creation (see `recording.correction_requests`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shell.store import reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx

from ingestion.corrections.tables import CorrectionRow
from ingestion.tables import RejectionRow


class Request(NamedTuple):
    """A correction request (`tables.CorrectionRow`)."""

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


class AcceptedEvent(NamedTuple):
    """An accepted event. `waits_because`: the quarantine reason of a waiting event; None for any other event."""

    source: str
    kind: str
    status: str
    waits_because: str | None


class Rejection(NamedTuple):
    """A rejected event. `problems`: JSON list of objects with `pointer` and `code`."""

    source: str
    problems: bytes


class OpenRequest(NamedTuple):
    """An open request with the present state of its event. `status`: None until the event is accepted. `chain`: None
    while the event does not count. `household`: the household that its chain names, if any. `statements`: of the
    person; None if they have not changed since the last check."""

    correction_id: str
    source: str
    event_id: str
    target: str
    asked_at: datetime
    status: str | None
    chain: str | None
    household: str | None
    statements: bytes | None


class Settled(NamedTuple):
    """The end of a request. `state`: answered or withdrawn. `answered_by`: the event that answers the request; None if
    the request is withdrawn."""

    correction_id: str
    state: str
    answered_by: str | None


# ── the event of a request ──────────────────────────────────────────────────────────────────────────────────


async def find_event(connection: Any, event_id: str) -> AcceptedEvent | None:
    row = await connection.fetchrow(
        """SELECT r.source, r.kind, r.status, q.reason FROM received r
           LEFT JOIN quarantine q ON q.event_id = r.event_id AND q.state = 'open' WHERE r.event_id = $1""",
        event_id,
    )
    return AcceptedEvent(*row) if row is not None else None


@reads.row(Rejection)
def find_rejection(event_id: str) -> Select[RejectionRow]:
    """The last rejection of this event; None if there is none."""
    return (
        select(RejectionRow)
        .where(RejectionRow.event_id == event_id)
        .order_by(col(RejectionRow.recorded_at).desc())
        .limit(1)
    )


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────


@reads.row(Request)
def load_open(event_id: str) -> Select[CorrectionRow]:
    """The open request about this event; None if there is none."""
    return select(CorrectionRow).where(CorrectionRow.event_id == event_id, CorrectionRow.state == "open")


@reads.row(Request)
def lock_request(correction_id: str) -> Select[CorrectionRow]:
    return select(CorrectionRow).where(CorrectionRow.correction_id == correction_id).with_for_update()


@reads.rows(Request)
def list_requests(
    sources: Sequence[str], state: str, overdue_at: datetime | None, after: str | None, limit: int
) -> Select[CorrectionRow]:
    """A page of these sources' requests, by id. `overdue_at`: only those with an earlier deadline."""
    return (
        select(CorrectionRow)
        .where(
            among(CorrectionRow.source, sources),
            CorrectionRow.state == state,
            if_given(overdue_at, col(CorrectionRow.deadline) < overdue_at),
            if_given(after, col(CorrectionRow.correction_id) > after),
        )
        .order_by(CorrectionRow.correction_id)
        .limit(limit)
    )


async def lock_open(tx: Tx, looked_before: datetime, margin: timedelta, limit: int) -> list[OpenRequest]:
    """Lock and return at most `limit` open requests whose last check lies before `looked_before`.

    `margin`: statements recorded this long before the last check count as changed, because they may commit after it.
    """
    rows = await tx.sql.fetch(
        """SELECT c.correction_id, c.source, c.event_id, c.target, c.asked_at, r.status, r.chain, r.household,
                  CASE WHEN p.recorded_at > c.looked_at - $2::interval THEN p.statements END AS statements
           FROM corrections c
             LEFT JOIN received r ON r.event_id = c.event_id
             LEFT JOIN persons p ON p.person_id = r.person_id
           WHERE c.state = 'open' AND c.looked_at < $1 ORDER BY c.looked_at LIMIT $3 FOR UPDATE OF c""",
        looked_before,
        margin,
        limit,
    )
    return [OpenRequest(*row) for row in rows]


async def save_looked(tx: Tx, correction_ids: Sequence[str], at: datetime) -> None:
    await tx.sql.execute(
        "UPDATE corrections SET looked_at = $2 WHERE correction_id = ANY($1::uuid[])", list(correction_ids), at
    )


async def settle(tx: Tx, settled: Sequence[Settled], at: datetime) -> None:
    """Close these requests."""
    await tx.sql.execute(
        """UPDATE corrections c SET state = u.state, answered_at = $4, answered_by = u.answered_by
           FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS u(correction_id, state, answered_by)
           WHERE c.correction_id = u.correction_id""",
        [s.correction_id for s in settled],
        [s.state for s in settled],
        [s.answered_by for s in settled],
        at,
    )


async def count_open(connection: Any, at: datetime) -> tuple[int, int]:
    """(open requests, those of them past their deadline)."""
    row = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE deadline < $1) FROM corrections WHERE state = 'open'", at
    )
    return row[0], row[1]
