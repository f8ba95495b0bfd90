"""Append to the audit log: who did what, to whose data, and why. The service where it happens writes the row.

    async with db.transaction() as tx:
        ...                                            # load, decide, save
        await audits.append(tx, caller, act="read", purpose="entitlements", person_ids=[person_id])

The row is in the transaction of the access, so no access without its row is answered. `shell.audit.sealing` seals the
rows later, in transactions of its own.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from common.codes import divisions

from shell import clock
from shell.access.scopes import Caller
from shell.store.transaction import Tx

_APPEND: Final = """
WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division, account)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING at, audit_id),
     q AS (INSERT INTO audit_queue (audit_id) SELECT audit_id FROM a),
     p AS (INSERT INTO audit_persons (person_id, at, audit_id, actor, areas)
           SELECT DISTINCT p, at, audit_id, $2, $12::text[] FROM a, unnest($11::uuid[]) AS p)
INSERT INTO audit_areas (area, actor, at, audit_id)
  SELECT DISTINCT s, $2, at, audit_id FROM a, unnest($12) AS s
"""


async def append(
    tx: Tx,
    caller: Caller,
    *,
    act: str,
    purpose: str,
    cause: str = "",
    fields: Sequence[str] = (),
    person_ids: Sequence[str] = (),
) -> None:
    """Append a row with its persons, and with the areas whose auditors may see it: the caller's area and all areas
    above it.

    `act`: the word of contracts/routes.yaml. `purpose`: the reason that the caller states, else the thing that the
    caller reads or decides. `cause`: the id of that thing. `fields`: the fields of the vault that were revealed, or
    `row` for rejected rows."""
    await tx.sql.execute(
        _APPEND,
        clock.real_now(),
        caller.user,
        caller.role,
        act,
        purpose,
        cause,
        ",".join(fields),
        msgspec.json.encode(list(person_ids)),
        caller.division,
        caller.subject,
        list(person_ids),
        _areas_of(caller),
    )


def _areas_of(caller: Caller) -> list[str]:
    """The caller's area and all areas above it; empty for a caller without an area."""
    return [caller.division, *divisions.ancestors(caller.division)] if caller.division else []
