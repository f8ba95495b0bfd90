"""Reading recovery cases; they are written with the ledger (`store.ledger.save_changes`)."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from subsidy.domain.ledger import Key

_COLUMNS: Final = """recovery_id, person_id, item, jurisdiction, service_month, amount_fen, state, reason,
                     cause_event_id, opened_at, closed_at, closed_by"""


async def find_key(connection: asyncpg.Connection, recovery_id: str) -> Key | None:
    row = await connection.fetchrow(
        "SELECT person_id, item, jurisdiction, service_month FROM recoveries WHERE recovery_id = $1", recovery_id
    )
    return tuple(row) if row else None


async def load_recovery(connection: asyncpg.Connection, recovery_id: str) -> dict[str, Any]:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM recoveries WHERE recovery_id = $1",  # noqa: S608
        recovery_id,
    )
    return dict(row)


async def list_recoveries(
    connection: asyncpg.Connection,
    areas: Sequence[str] | None,
    state: str | None,
    person_id: str | None,
    after: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM recoveries
            WHERE ($1::text[] IS NULL OR jurisdiction = ANY($1)) AND ($2::text IS NULL OR state = $2)
              AND ($3::uuid IS NULL OR person_id = $3) AND ($4::uuid IS NULL OR recovery_id > $4)
            ORDER BY recovery_id LIMIT $5""",  # noqa: S608
        areas,
        state,
        person_id,
        after,
        limit,
    )
    return [dict(row) for row in rows]
