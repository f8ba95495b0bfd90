"""Every SQL statement of corrections that sources are asked for."""

from collections.abc import Sequence
from datetime import datetime

from shell.store.transaction import Tx


async def insert_corrections(
    tx: Tx,
    rows: Sequence[tuple[str, str, str, str, str | None, str, str, str, str]],
    rule: str,
    by: str,
    at: datetime,
    deadline: datetime,
) -> set[str]:
    """`rows`: correction_id, area, source, event_id, kind, target, code, pointer, reason. Ids of those that are new."""
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
