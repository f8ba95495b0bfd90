"""Every SQL statement by which recording changes the quarantine. Each is one statement for a whole batch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shell.store import bulk
from shell.store.transaction import Tx


class Waited(NamedTuple):
    """An event in quarantine. `person_id`: the person of its row, whose number of waiting rows includes it.

    `withdrawn`: its source took it back; a later statement of the source may reopen it."""

    person_id: str
    sealed: bytes
    since: datetime
    withdrawn: bool


class Part(NamedTuple):
    """The copies of one source's statements about a household that wait for one member (`recording.batch`).

    `id`: of the row in quarantine. `event_id`: a statement that this batch has not copied; empty for a part that was
    loaded."""

    id: str
    household: str
    source: str
    person_id: str
    event_id: str = ""


_LOAD_WAITING: Final = """
WITH RECURSIVE waiting AS (
    SELECT event_id FROM (
        SELECT event_id FROM quarantine WHERE person_id = ANY($1::uuid[]) AND state IN ('open', 'withdrawn')
        UNION ALL
        SELECT event_id FROM quarantine WHERE waits_for = ANY($2::uuid[]) AND state IN ('open', 'withdrawn')
    ) found
    UNION
    SELECT q.event_id FROM waiting w JOIN quarantine q ON q.waits_for = w.event_id
    WHERE q.state IN ('open', 'withdrawn'))
SELECT q.event_id, q.person_id, r.sealed, q.since, q.state = 'withdrawn', q.household, q.source
FROM waiting JOIN quarantine q USING (event_id) LEFT JOIN received r USING (event_id)
"""


async def load_waiting(
    tx: Tx, person_ids: Collection[str], new: Collection[str]
) -> tuple[dict[str, Waited], list[Part]]:
    """The waiting and withdrawn events of these persons by id, and the waiting parts of households. With them come all
    their followers, and those of the `new` events: a source may state a follower under another number."""
    rows = await tx.sql.fetch(_LOAD_WAITING, list(person_ids), list(new))
    events = {row[0]: Waited(row[1], row[2], row[3], row[4]) for row in rows if row[5] is None}
    return events, [Part(row[0], row[5], row[6], row[1]) for row in rows if row[5] is not None]


async def list_persons_followed(tx: Tx, event_ids: Collection[str]) -> set[str]:
    """The persons of these waiting events, and of all waiting events that they follow."""
    rows = await tx.sql.fetch(
        """WITH RECURSIVE followed AS (
               SELECT event_id, person_id, waits_for FROM quarantine
               WHERE event_id = ANY($1::uuid[]) AND state IN ('open', 'withdrawn')
               UNION
               SELECT q.event_id, q.person_id, q.waits_for FROM followed f JOIN quarantine q ON q.event_id = f.waits_for
               WHERE q.state IN ('open', 'withdrawn'))
           SELECT DISTINCT person_id FROM followed""",
        list(event_ids),
    )
    return {row[0] for row in rows}


class Waiting(NamedTuple):
    """A new row of the quarantine. `waits_for`: the event that it follows. `chain`: of an event that counted before.
    `part_of`, `household`: of the part of one member."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    owner: str
    waits_for: str | None = None
    chain: str | None = None
    part_of: str | None = None
    household: str | None = None
    state: str = "open"


async def insert_quarantine(tx: Tx, rows: Sequence[Waiting], since: datetime, deadline: datetime) -> set[str]:
    """Insert rows; returns the ids of the new rows, and of the released rows that are in use again.

    A released event or part waits again, now as a row of the person in `rows`. An event or part that officers have
    discarded stays discarded."""
    if not rows:
        return set()
    ordered = sorted(rows)
    columns = [list(column) for column in zip(*ordered, strict=True)]
    found = await tx.sql.fetch(
        """INSERT INTO quarantine AS q (event_id, person_id, source, kind, reason, owner, waits_for, chain, part_of,
                                        household, state, since, deadline, settled_at)
           SELECT u.*, $12, $13, CASE WHEN u.state = 'open' THEN NULL ELSE $12::timestamptz END
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::uuid[],
                       $9::uuid[], $10::uuid[], $11::text[])
             AS u(event_id, person_id, source, kind, reason, owner, waits_for, chain, part_of, household, state)
           ON CONFLICT (event_id) DO UPDATE
             SET person_id = excluded.person_id, reason = excluded.reason, owner = excluded.owner,
                 state = excluded.state, chain = excluded.chain, since = excluded.since,
                 deadline = excluded.deadline, settled_at = excluded.settled_at,
                 settled_by = NULL, first_by = NULL, first_outcome = NULL, first_grant_days = NULL, group_id = NULL,
                 escalated_at = NULL
             WHERE q.state = 'released'
           RETURNING event_id""",
        *columns,
        since,
        deadline,
    )
    return {row[0] for row in found}


async def load_owners(tx: Tx, event_ids: Collection[str]) -> dict[str, str]:
    """The owners of waiting events by id."""
    if not event_ids:
        return {}
    rows = await tx.sql.fetch(
        "SELECT event_id, owner FROM quarantine WHERE event_id = ANY($1::uuid[]) AND state = 'open'", list(event_ids)
    )
    return {row[0]: row[1] for row in rows}


async def forget_first_decisions(tx: Tx, person_ids: Collection[str]) -> None:
    """Forget first decisions about these persons. Their waiting content has changed, and two officers must decide about
    the same content."""
    if person_ids:
        await tx.sql.execute(
            """UPDATE quarantine SET first_by = NULL, first_outcome = NULL, first_grant_days = NULL
               WHERE person_id = ANY($1::uuid[]) AND state = 'open' AND first_by IS NOT NULL""",
            list(person_ids),
        )


async def withhold(tx: Tx, events: Sequence[tuple[str, bool]]) -> None:
    """Stop counting these events. `events`: event id, and True if its source has withdrawn it; other events wait."""
    if events:
        await tx.sql.execute(
            """UPDATE received r SET chain = NULL, status = CASE WHEN u.withdrawn THEN 'parked' ELSE 'quarantined' END
               FROM unnest($1::uuid[], $2::bool[]) AS u(event_id, withdrawn) WHERE r.event_id = u.event_id""",
            [event_id for event_id, _ in events],
            [withdrawn for _, withdrawn in events],
        )


async def withdraw(tx: Tx, event_ids: Sequence[str], at: datetime) -> None:
    """Close waiting events that their source has taken back."""
    if event_ids:
        await tx.sql.execute(
            "UPDATE received SET status = 'parked', chain = NULL WHERE event_id = ANY($1::uuid[])", list(event_ids)
        )
        await tx.sql.execute(
            """UPDATE quarantine SET state = 'withdrawn', reason = 'withdrawn', settled_at = $2
               WHERE event_id = ANY($1::uuid[]) AND state = 'open'""",
            list(event_ids),
            at,
        )


async def reopen(tx: Tx, event_ids: Sequence[str], since: datetime, deadline: datetime) -> None:
    """Let withdrawn events wait again, because their source has stated them again. Each is a case of its own: the group
    in which it waited before may be settled."""
    if event_ids:
        await tx.sql.execute(
            "UPDATE received SET status = 'quarantined' WHERE event_id = ANY($1::uuid[])", list(event_ids)
        )
        await tx.sql.execute(
            """UPDATE quarantine SET state = 'open', since = $2, deadline = $3, settled_at = NULL, settled_by = NULL,
                      first_by = NULL, first_outcome = NULL, first_grant_days = NULL, group_id = NULL,
                      escalated_at = NULL
               WHERE event_id = ANY($1::uuid[]) AND state = 'withdrawn'""",
            list(event_ids),
            since,
            deadline,
        )


async def release_parts(tx: Tx, ids: Sequence[str], at: datetime, by: str | None) -> None:
    if ids:
        await tx.sql.execute(
            """UPDATE quarantine SET state = 'released', settled_at = $2, settled_by = $3
               WHERE event_id = ANY($1::uuid[]) AND state = 'open'""",
            list(ids),
            at,
            by,
        )


class Released(NamedTuple):
    """An event that takes effect. `person_id`: the keeper of its chain."""

    event_id: str
    chain: str
    household: str | None
    person_id: str


async def release(tx: Tx, released: Sequence[Released], at: datetime, by: str | None) -> None:
    """Store that events in quarantine take effect. `by`: the officer, None without a decision."""
    if not released:
        return
    event_ids, chains, households, keepers = bulk.columns_of(released)
    await tx.sql.execute(
        """UPDATE received r SET status = 'applied', chain = u.chain, household = u.household, person_id = u.person_id
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS u(event_id, chain, household, person_id)
           WHERE r.event_id = u.event_id""",
        event_ids,
        chains,
        households,
        keepers,
    )
    await tx.sql.execute(
        """UPDATE quarantine SET state = 'released', settled_at = $2, settled_by = $3
           WHERE event_id = ANY($1::uuid[])""",
        event_ids,
        at,
        by,
    )


class Reason(NamedTuple):
    """Why an event waits, and the area that decides it for this reason."""

    reason: str
    owner: str


async def explain_waiting(tx: Tx, reasons: Mapping[str, Reason]) -> None:
    """Update the reasons and owners of events that still wait. `reasons`: by event. An escalated event keeps its owner
    while its reason is the same. A first decision lapses if the reason or the owner changes."""
    if reasons:
        await tx.sql.execute(
            """UPDATE quarantine q SET reason = u.reason, owner = u.owner,
                      first_by = NULL, first_outcome = NULL, first_grant_days = NULL
               FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u(event_id, reason, owner)
               WHERE q.event_id = u.event_id
                 AND (q.reason <> u.reason OR (q.owner <> u.owner AND q.escalated_at IS NULL))""",
            list(reasons),
            [r.reason for r in reasons.values()],
            [r.owner for r in reasons.values()],
        )
