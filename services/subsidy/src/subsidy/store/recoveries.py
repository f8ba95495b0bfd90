"""Read recovery cases. They are written with the ledger (`store.ledger.save_changes`)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg

from subsidy.domain.ledger import Key


class Recovery(NamedTuple):
    """A row of `recoveries`."""

    recovery_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int
    state: str
    reason: str
    cause_event_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None

    @property
    def key(self) -> Key:
        return self.person_id, self.item, self.jurisdiction, self.service_month


_COLUMNS: Final = ", ".join(Recovery._fields)


async def load_recovery(connection: asyncpg.Connection, recovery_id: str) -> Recovery | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM recoveries WHERE recovery_id = $1",  # noqa: S608
        recovery_id,
    )
    return Recovery(*row) if row else None


async def list_recoveries(
    connection: asyncpg.Connection,
    areas: Sequence[str] | None,
    state: str | None,
    person_id: str | None,
    after: str | None,
    limit: int,
) -> list[Recovery]:
    """List recoveries in the order of ids. A filter that is None does not apply.

    `after`: the last id of the page before.
    """
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
    return [Recovery(*row) for row in rows]
