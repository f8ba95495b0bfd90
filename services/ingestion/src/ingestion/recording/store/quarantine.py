"""Every SQL statement by which recording changes what waits. Each is one statement for a whole batch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shell.store.transaction import Tx


class Waited(NamedTuple):
    """An event in quarantine. `withdrawn`: its source has taken it back; a later word of the source may revive it."""

    sealed: bytes
    since: datetime
    withdrawn: bool


async def load_waiting(
    tx: Tx, person_ids: Collection[str]
) -> tuple[dict[str, Waited], list[tuple[str, str, str, str]]]:
    """The waiting and withdrawn events of these persons: events by id, and the parts of households."""
    rows = await tx.sql.fetch(
        """SELECT q.event_id, r.sealed, q.since, q.state = 'withdrawn', q.household, q.source, q.person_id
           FROM quarantine q LEFT JOIN received r ON r.event_id = q.event_id
           WHERE q.person_id = ANY($1::uuid[]) AND q.state IN ('open', 'withdrawn')""",
        list(person_ids),
    )
    events = {row[0]: Waited(row[1], row[2], row[3]) for row in rows if row[4] is None}
    return events, [(row[0], row[4], row[5], row[6]) for row in rows if row[4] is not None]


class Waiting(NamedTuple):
    """A row of the quarantine as it is entered. `waits_for`: the event it follows; `chain`: of an event that counted
    before; `part_of`, `household`: of the part of one member."""

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
    """Ids of those that wait now and did not before. An event that was released waits again; a part that officers
    have discarded stays so."""
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
             SET reason = excluded.reason, owner = excluded.owner, state = excluded.state, chain = excluded.chain,
                 since = excluded.since, deadline = excluded.deadline, settled_at = excluded.settled_at,
                 settled_by = NULL, first_by = NULL, first_outcome = NULL, group_id = NULL
             WHERE q.state = 'released'
           RETURNING event_id""",
        *columns,
        since,
        deadline,
    )
    return {row[0] for row in found}


async def forget_first_decisions(tx: Tx, person_ids: Collection[str]) -> None:
    """A source has changed what waits of these persons: two officers have to decide about the same content."""
    if person_ids:
        await tx.sql.execute(
            """UPDATE quarantine SET first_by = NULL, first_outcome = NULL
               WHERE person_id = ANY($1::uuid[]) AND state = 'open' AND first_by IS NOT NULL""",
            list(person_ids),
        )


async def withhold(tx: Tx, events: Sequence[tuple[str, bool]]) -> None:
    """These events have counted. From now on they wait, or their source has withdrawn them (True)."""
    if events:
        await tx.sql.execute(
            """UPDATE received r SET chain = NULL, status = CASE WHEN u.withdrawn THEN 'parked' ELSE 'quarantined' END
               FROM unnest($1::uuid[], $2::bool[]) AS u(event_id, withdrawn) WHERE r.event_id = u.event_id""",
            [event_id for event_id, _ in events],
            [withdrawn for _, withdrawn in events],
        )


async def withdraw(tx: Tx, event_ids: Sequence[str], at: datetime) -> None:
    """The source has taken back what never counted."""
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
    """Events that were withdrawn wait again: their source has said it once more."""
    if event_ids:
        await tx.sql.execute(
            "UPDATE received SET status = 'quarantined' WHERE event_id = ANY($1::uuid[])", list(event_ids)
        )
        await tx.sql.execute(
            """UPDATE quarantine SET state = 'open', since = $2, deadline = $3, settled_at = NULL, settled_by = NULL,
                      first_by = NULL, first_outcome = NULL
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


async def release(tx: Tx, released: Mapping[str, tuple[str, str | None, str]], at: datetime, by: str | None) -> None:
    """`released`: event id → its chain, household and keeper. They take effect with this transaction."""
    if not released:
        return
    ids = list(released)
    await tx.sql.execute(
        """UPDATE received r SET status = 'applied', chain = u.chain, household = u.household, person_id = u.person_id
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS u(event_id, chain, household, person_id)
           WHERE r.event_id = u.event_id""",
        ids,
        *([each[n] for each in released.values()] for n in range(3)),
    )
    await tx.sql.execute(
        """UPDATE quarantine SET state = 'released', settled_at = $2, settled_by = $3
           WHERE event_id = ANY($1::uuid[])""",
        ids,
        at,
        by,
    )


async def explain_waiting(tx: Tx, reasons: Mapping[str, tuple[str, str]]) -> None:
    """`reasons` by event: why it still waits, now that more is known, and who owns it for that reason."""
    if reasons:
        await tx.sql.execute(
            """UPDATE quarantine q SET reason = u.reason, owner = u.owner
               FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u(event_id, reason, owner)
               WHERE q.event_id = u.event_id AND q.reason <> u.reason""",
            list(reasons),
            [reason for reason, _ in reasons.values()],
            [owner for _, owner in reasons.values()],
        )
