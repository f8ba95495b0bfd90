"""SQL by which officers and jobs review single events in quarantine, and SQL for `verify`.

The statements about groups are in `groups`. Recording has statements of its own about these rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shell.store import reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx
from sqlalchemy import or_

from ingestion.recording.tables import QuarantineRow
from ingestion.tables import PersonRow

# ── quarantine ──────────────────────────────────────────────────────────────────────────────────────────────


class Quarantined(NamedTuple):
    """A row of the quarantine (`recording.tables`)."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    waits_for: str | None
    owner: str
    state: str
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None
    part_of: str | None
    group_id: str | None
    chain: str | None
    first_by: str | None
    first_outcome: str | None
    first_grant_days: int | None
    refuted_by: str | None


@reads.rows(Quarantined)
def list_quarantine(
    owners: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    group_id: str | None,
    after: str | None,
    limit: int,
) -> Select[QuarantineRow]:
    """Rows of these owners in the order of their ids: those of the group `group_id`, or with None those of no group.

    `overdue_at`: if given, only rows with an earlier deadline. `after`: the last id of the page before."""
    return (
        select(QuarantineRow)
        .where(
            among(QuarantineRow.owner, owners),
            QuarantineRow.state == state,
            if_given(overdue_at, col(QuarantineRow.deadline) < overdue_at),
            if_given(after, col(QuarantineRow.event_id) > after),
            col(QuarantineRow.group_id).is_not_distinct_from(group_id),
        )
        .order_by(QuarantineRow.event_id)
        .limit(limit)
    )


@reads.value
def person_of(event_id: str) -> Select[str]:
    """The person of a row; None if there is no such row."""
    return select(QuarantineRow.person_id).where(QuarantineRow.event_id == event_id)


@reads.existing_row(Quarantined)
def load_quarantined(event_id: str) -> Select[QuarantineRow]:
    """Load a row, which must exist."""
    return select(QuarantineRow).where(QuarantineRow.event_id == event_id)


async def list_waiting_signs_of_life(connection: Any, person_ids: Sequence[str]) -> dict[str, list[str]]:
    """Event ids of waiting `alive` events by person."""
    rows = await connection.fetch(
        """SELECT person_id, array_agg(event_id::text ORDER BY event_id) FROM quarantine
           WHERE person_id = ANY($1::uuid[]) AND state = 'open' AND kind = 'alive' GROUP BY person_id""",
        list(person_ids),
    )
    return {row[0]: list(row[1]) for row in rows}


async def note_first(tx: Tx, event_id: str, by: str, outcome: str, grant_days: int | None) -> None:
    """Note the decision of the first of two officers. The same decision by a second officer makes it effective."""
    await tx.sql.execute(
        "UPDATE quarantine SET first_by = $2, first_outcome = $3, first_grant_days = $4 WHERE event_id = $1",
        event_id,
        by,
        outcome,
        grant_days,
    )


async def note_release(tx: Tx, event_id: str, note: str) -> None:
    await tx.sql.execute("UPDATE quarantine SET note = $2 WHERE event_id = $1", event_id, note)


async def discard(tx: Tx, event_id: str, at: datetime, by: str, note: str, refuted_by: str | None = None) -> bool:
    """Discard a waiting event for ever. Returns False if it no longer waits. The caller must hold the lock of its
    person."""
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


class Overdue(NamedTuple):
    """A row past its deadline. `escalated_at`: when it was escalated before."""

    event_id: str
    owner: str
    source: str
    kind: str
    reason: str
    part_of: str | None
    escalated_at: datetime | None


@reads.rows(Overdue)
def list_overdue(at: datetime, limit: int) -> Select[QuarantineRow]:
    """Lock and list rows past their deadline. Events of groups are left out: a group is escalated as a whole.

    A row that the nation owns is listed only if it was never escalated."""
    return (
        select(QuarantineRow)
        .where(
            QuarantineRow.state == "open",
            QuarantineRow.deadline <= at,
            col(QuarantineRow.group_id).is_(None),
            or_(col(QuarantineRow.owner) != "000000", col(QuarantineRow.escalated_at).is_(None)),
        )
        .order_by(col(QuarantineRow.deadline))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


async def escalate(tx: Tx, owners: Mapping[str, str], at: datetime, deadline: datetime) -> None:
    """Give rows to the area above, until the new `deadline`. `owners`: the new owner by event.

    A first decision of an officer of the area below lapses."""
    await tx.sql.execute(
        """UPDATE quarantine q SET owner = u.owner, escalated_at = $3, deadline = $4,
                  first_by = NULL, first_outcome = NULL, first_grant_days = NULL
           FROM unnest($1::uuid[], $2::text[]) AS u(event_id, owner) WHERE q.event_id = u.event_id""",
        list(owners),
        list(owners.values()),
        at,
        deadline,
    )


# ── verification ────────────────────────────────────────────────────────────────────────────────────────────


async def contradictions(connection: Any, limit: int) -> list[str]:
    """Contradictions between the tables about waiting events, as texts."""
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


@reads.values
def list_persons_after(after: str | None, limit: int) -> Select[str]:
    """The next page of person ids, in their order."""
    return (
        select(PersonRow.person_id)
        .where(if_given(after, col(PersonRow.person_id) > after))
        .order_by(PersonRow.person_id)
        .limit(limit)
    )
