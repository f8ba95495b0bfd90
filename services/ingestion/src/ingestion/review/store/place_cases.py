"""Every SQL statement about cases of claimed places and hints that officers and jobs use."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from shell.store import reads
from shell.store.reads import Select, among, col, if_given, select
from shell.store.transaction import Tx

from ingestion.recording.tables import HintRow, PlaceCaseRow


class PlaceCase(NamedTuple):
    """The case of a claimed place (`recording.tables`)."""

    case_id: str
    person_id: str
    chain: str
    source: str
    kind: str
    division: str
    county_left: str
    owner: str
    group_id: str | None
    state: str
    since: datetime
    deadline: datetime
    silent_on: date
    escalated_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class CaseKey(NamedTuple):
    case_id: str
    person_id: str


_COLUMNS: Final = ", ".join(PlaceCase._fields)


@reads.rows(PlaceCase)
def list_cases(
    owners: Sequence[str],
    state: str,
    overdue_at: datetime | None,
    group_id: str | None,
    after: str | None,
    limit: int,
) -> Select[PlaceCaseRow]:
    """Cases of these owners in the order of their ids. `overdue_at`, `group_id`: if given, only cases with an earlier
    deadline, or of this group. `after`: the last id of the page before."""
    return (
        select(PlaceCaseRow)
        .where(
            among(PlaceCaseRow.owner, owners),
            PlaceCaseRow.state == state,
            if_given(overdue_at, col(PlaceCaseRow.deadline) < overdue_at),
            if_given(group_id, col(PlaceCaseRow.group_id) == group_id),
            if_given(after, col(PlaceCaseRow.case_id) > after),
        )
        .order_by(PlaceCaseRow.case_id)
        .limit(limit)
    )


@reads.row(PlaceCase)
def load_case(case_id: str) -> Select[PlaceCaseRow]:
    """One case without a lock; None if there is none."""
    return select(PlaceCaseRow).where(PlaceCaseRow.case_id == case_id)


async def lock_open(tx: Tx, case_ids: Sequence[str]) -> dict[str, PlaceCase]:
    """The cases that are still open, by id. Lock their persons first, as recording does."""
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM place_cases WHERE case_id = ANY($1::uuid[]) AND state = 'open'
            ORDER BY case_id FOR UPDATE""",  # noqa: S608 - a constant list of columns
        list(case_ids),
    )
    return {case.case_id: case for case in (PlaceCase(*row) for row in rows)}


async def note_decision(tx: Tx, case_ids: Sequence[str], by: str | None, note: str | None) -> None:
    """Note the officer who settled these cases, and the reason."""
    await tx.sql.execute(
        "UPDATE place_cases SET settled_by = $2, note = $3 WHERE case_id = ANY($1::uuid[]) AND state <> 'open'",
        list(case_ids),
        by,
        note,
    )


async def list_silent(tx: Tx, today: date, limit: int) -> list[CaseKey]:
    """Open cases whose time to object has passed, the oldest first. Cases of a group that officers have decided are
    left out: that decision settles them."""
    rows = await tx.sql.fetch(
        """SELECT case_id, person_id FROM place_cases c
           WHERE state = 'open' AND silent_on <= $1
             AND NOT EXISTS (SELECT 1 FROM groups g WHERE g.group_id = c.group_id AND g.state = 'settling')
           ORDER BY silent_on, case_id LIMIT $2""",
        today,
        limit,
    )
    return [CaseKey(*row) for row in rows]


async def list_overdue(tx: Tx, at: datetime, limit: int) -> dict[str, str]:
    """Lock overdue cases; return the owner by case. Cases of groups are left out: a group is escalated as a whole.

    A case that the nation owns is listed only if it was never escalated."""
    rows = await tx.sql.fetch(
        """SELECT case_id, owner FROM place_cases
           WHERE state = 'open' AND deadline <= $1 AND group_id IS NULL
             AND (owner <> '000000' OR escalated_at IS NULL)
           ORDER BY deadline LIMIT $2 FOR UPDATE SKIP LOCKED""",
        at,
        limit,
    )
    return {row[0]: row[1] for row in rows}


async def escalate(tx: Tx, owners: Mapping[str, str], at: datetime, deadline: datetime) -> None:
    """Give cases to the area above, until the new `deadline`. `owners`: the new owner by case."""
    await tx.sql.execute(
        """UPDATE place_cases c SET owner = u.owner, escalated_at = $3, deadline = $4
           FROM unnest($1::uuid[], $2::text[]) AS u(case_id, owner) WHERE c.case_id = u.case_id""",
        list(owners),
        list(owners.values()),
        at,
        deadline,
    )


# ── hints ───────────────────────────────────────────────────────────────────────────────────────────────────


class Hint(NamedTuple):
    chain: str
    person_id: str
    ends_on: date


@reads.rows(Hint)
def list_due_hints(today: date, limit: int) -> Select[HintRow]:
    """Hints that end today or should have ended before."""
    return select(HintRow).where(HintRow.ends_on <= today).order_by(col(HintRow.ends_on), HintRow.chain).limit(limit)


async def remove_hints(tx: Tx, chains: Sequence[str]) -> None:
    await tx.sql.execute("DELETE FROM hints WHERE chain = ANY($1::uuid[])", list(chains))


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────


class OpenCount(NamedTuple):
    table: str
    owner: str
    rows: int


async def count_open(connection: Any) -> list[OpenCount]:
    """The number of open rows that wait for officers, by table and owner."""
    rows = await connection.fetch(
        """SELECT 'quarantine', owner, count(*) FROM quarantine WHERE state = 'open' GROUP BY owner
           UNION ALL SELECT 'place_cases', owner, count(*) FROM place_cases WHERE state = 'open' GROUP BY owner
           UNION ALL SELECT 'groups', owner, count(*) FROM groups WHERE state <> 'settled' GROUP BY owner"""
    )
    return [OpenCount(*row) for row in rows]
