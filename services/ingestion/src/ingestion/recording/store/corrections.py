"""The SQL statement that creates correction requests. The other statements are in `corrections.store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shell.store import bulk
from shell.store.transaction import Tx


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


class Asking(NamedTuple):
    """The rule, actor and times that new requests have in common."""

    rule: str
    by: str
    at: datetime
    deadline: datetime


async def insert_corrections(tx: Tx, rows: Sequence[NewCorrection], asking: Asking) -> set[str]:
    """Insert requests; returns the ids of the new ones. An event with an open request gets no other one."""
    if not rows:
        return set()
    found = await tx.sql.fetch(
        """INSERT INTO corrections (correction_id, area, source, event_id, kind, target, code, pointer, reason,
                                    rule, asked_by, asked_at, looked_at, deadline)
           SELECT u.*, $10, $11, $12, $12, $13
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[]) AS u
           ON CONFLICT (event_id) WHERE state = 'open' DO NOTHING RETURNING correction_id""",
        *bulk.columns_of(rows),
        *asking,
    )
    return {row[0] for row in found}
