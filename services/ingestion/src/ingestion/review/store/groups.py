"""Every SQL statement about groups that officers and jobs use."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from shell.store import reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx

from ingestion.recording.tables import GroupRow, PlaceCaseRow, QuarantineRow
from ingestion.review.store.place_cases import CaseKey


class Group(NamedTuple):
    """Many waiting events, or claimed places, as one case (`recording.tables`)."""

    group_id: str
    source: str
    kind: str
    day: date
    holds: str
    owner: str
    state: str
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    first_by: str | None
    outcome: str | None
    grant_days: int | None
    reason: str | None
    decided_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    done: int


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────


@reads.values
def list_owners(state: str) -> Select[str]:
    """The areas that own a group in this state. Groups are few: at most two per source, kind and day."""
    return select(GroupRow.owner).where(GroupRow.state == state).distinct().order_by(GroupRow.owner)


@reads.rows(Group)
def list_groups(owners: Sequence[str], state: str, after: str | None, limit: int) -> Select[GroupRow]:
    """Groups of these owners in the order of their ids."""
    return (
        select(GroupRow)
        .where(
            among(GroupRow.owner, owners),
            GroupRow.state == state,
            if_given(after, col(GroupRow.group_id) > after),
        )
        .order_by(GroupRow.group_id)
        .limit(limit)
    )


@reads.row(Group)
def load_group(group_id: str) -> Select[GroupRow]:
    """Load a group without a lock; None if it does not exist."""
    return select(GroupRow).where(GroupRow.group_id == group_id)


class RowCount(NamedTuple):
    reason: str
    state: str
    rows: int


async def count_rows(connection: Any, group_ids: Sequence[str]) -> dict[str, list[RowCount]]:
    """The number of rows by group, then by reason and state."""
    rows = await connection.fetch(
        """SELECT group_id, reason, state, count(*) FROM quarantine WHERE group_id = ANY($1::uuid[]) GROUP BY 1, 2, 3
           UNION ALL
           SELECT group_id, 'place_claimed', state, count(*) FROM place_cases WHERE group_id = ANY($1::uuid[])
           GROUP BY 1, 3 ORDER BY 1, 2, 3""",
        list(group_ids),
    )
    counts: dict[str, list[RowCount]] = {}
    for group_id, *count in rows:
        counts.setdefault(group_id, []).append(RowCount(*count))
    return counts


class SampleRow(NamedTuple):
    """A row of a group. `id`: of event or case. `division`: the claimed place, or the newest place of the person."""

    id: str
    person_id: str
    kind: str
    division: str | None


async def list_sample(connection: Any, group_id: str, holds: str, limit: int) -> list[SampleRow]:
    """The rows with the smallest ids. Ids are hashes, so these rows are a random sample."""
    query = (
        """SELECT case_id AS id, person_id, kind, division FROM place_cases
           WHERE group_id = $1 ORDER BY case_id LIMIT $2"""
        if holds == "places"
        else """SELECT q.event_id AS id, q.person_id, q.kind, p.division FROM quarantine q
                JOIN persons p USING (person_id) WHERE q.group_id = $1 ORDER BY q.event_id LIMIT $2"""
    )
    return [SampleRow(*row) for row in await connection.fetch(query, group_id, limit)]


# ── deciding ────────────────────────────────────────────────────────────────────────────────────────────────


@reads.row(Group)
def lock_group(group_id: str) -> Select[GroupRow]:
    """Lock and load a group; None if it does not exist."""
    return select(GroupRow).where(GroupRow.group_id == group_id).with_for_update()


async def note_first(tx: Tx, group_id: str, by: str, outcome: str, grant_days: int | None, reason: str) -> None:
    """Note the decision of the first of two officers. The same decision by a second officer makes it effective."""
    await tx.sql.execute(
        "UPDATE groups SET first_by = $2, outcome = $3, grant_days = $4, reason = $5 WHERE group_id = $1",
        group_id,
        by,
        outcome,
        grant_days,
        reason,
    )


async def note_second(tx: Tx, group_id: str, by: str, reason: str, at: datetime) -> None:
    """Note the agreeing decision of the second officer: the job settles the rows of the group from now on."""
    await tx.sql.execute(
        "UPDATE groups SET state = 'settling', settled_by = $2, reason = $3, decided_at = $4 WHERE group_id = $1",
        group_id,
        by,
        reason,
        at,
    )


# ── settling ────────────────────────────────────────────────────────────────────────────────────────────────


class EventKey(NamedTuple):
    event_id: str
    person_id: str


@reads.rows(Group)
def list_settling(limit: int) -> Select[GroupRow]:
    """Groups that two officers have decided, the oldest decision first."""
    return (
        select(GroupRow)
        .where(GroupRow.state == "settling")
        .order_by(col(GroupRow.decided_at), GroupRow.group_id)
        .limit(limit)
    )


@reads.rows(EventKey)
def list_open_events(group_id: str, until: datetime | None, limit: int) -> Select[QuarantineRow]:
    """Events of a group that still wait; if `until` is given, only those that arrived by then."""
    return (
        select(QuarantineRow)
        .where(
            QuarantineRow.group_id == group_id,
            QuarantineRow.state == "open",
            if_given(until, col(QuarantineRow.since) <= until),
        )
        .order_by(QuarantineRow.event_id)
        .limit(limit)
    )


@reads.rows(CaseKey)
def list_open_places(group_id: str, limit: int) -> Select[PlaceCaseRow]:
    """Cases of claimed places of a group that are still open."""
    return (
        select(PlaceCaseRow)
        .where(PlaceCaseRow.group_id == group_id, PlaceCaseRow.state == "open")
        .order_by(PlaceCaseRow.case_id)
        .limit(limit)
    )


@reads.rows(EventKey)
def list_still_open(event_ids: Sequence[str]) -> Select[QuarantineRow]:
    """The events that still wait. Lock their persons first, as recording does."""
    return (
        select(QuarantineRow)
        .where(among(QuarantineRow.event_id, event_ids), QuarantineRow.state == "open")
        .order_by(QuarantineRow.event_id)
    )


async def discard_events(tx: Tx, event_ids: Sequence[str], at: datetime, by: str | None, note: str | None) -> None:
    """Park these waiting events for good, behind the locks of their persons."""
    await tx.sql.execute(
        """WITH gone AS (
             UPDATE quarantine SET state = 'discarded', settled_at = $2, settled_by = $3, note = $4
             WHERE event_id = ANY($1::uuid[]) AND state = 'open' RETURNING event_id, person_id),
           parked AS (
             UPDATE received r SET status = 'parked' FROM gone WHERE r.event_id = gone.event_id)
           UPDATE persons p SET waiting = p.waiting - c.events
           FROM (SELECT person_id, count(*) AS events FROM gone GROUP BY person_id) c
           WHERE p.person_id = c.person_id""",
        list(event_ids),
        at,
        by,
        note,
    )


async def note_released(tx: Tx, event_ids: Sequence[str], note: str | None) -> int:
    """Note the reason; returns how many of these events are released. An event that still waits has another reason
    now: it leaves the group and becomes a case of its own."""
    await tx.sql.execute(
        "UPDATE quarantine SET group_id = NULL WHERE event_id = ANY($1::uuid[]) AND state = 'open'", list(event_ids)
    )
    rows = await tx.sql.fetch(
        "UPDATE quarantine SET note = $2 WHERE event_id = ANY($1::uuid[]) AND state = 'released' RETURNING 1",
        list(event_ids),
        note,
    )
    return len(rows)


async def add_done(tx: Tx, group_id: str, done: int) -> None:
    await tx.sql.execute("UPDATE groups SET done = done + $2 WHERE group_id = $1", group_id, done)


async def close(tx: Tx, group_id: str, at: datetime) -> None:
    await tx.sql.execute("UPDATE groups SET state = 'settled', settled_at = $2 WHERE group_id = $1", group_id, at)


async def reopen(tx: Tx, group_id: str, deadline: datetime) -> None:
    """Open a group with rows that the decision does not cover: two officers decide again."""
    await tx.sql.execute(
        """UPDATE groups SET state = 'open', deadline = $2, first_by = NULL, outcome = NULL, grant_days = NULL,
                  reason = NULL, decided_at = NULL, settled_by = NULL
           WHERE group_id = $1""",
        group_id,
        deadline,
    )


# ── escalating ──────────────────────────────────────────────────────────────────────────────────────────────


async def list_overdue(tx: Tx, at: datetime, limit: int) -> dict[str, str]:
    """Lock overdue groups; return the owner by group.

    A group that the nation owns is listed only if it was never escalated."""
    rows = await tx.sql.fetch(
        """SELECT group_id, owner FROM groups
           WHERE state = 'open' AND deadline <= $1 AND (owner <> '000000' OR escalated_at IS NULL)
           ORDER BY deadline LIMIT $2 FOR UPDATE SKIP LOCKED""",
        at,
        limit,
    )
    return {row[0]: row[1] for row in rows}


async def escalate(tx: Tx, owners: Mapping[str, str], at: datetime, deadline: datetime) -> None:
    """Give groups to the area above, until the new `deadline`. `owners`: the new owner by group.

    A first decision of an officer of the area below lapses."""
    await tx.sql.execute(
        """UPDATE groups g SET owner = u.owner, escalated_at = $3, deadline = $4,
                  first_by = NULL, outcome = NULL, grant_days = NULL, reason = NULL
           FROM unnest($1::uuid[], $2::text[]) AS u(group_id, owner) WHERE g.group_id = u.group_id""",
        list(owners),
        list(owners.values()),
        at,
        deadline,
    )
