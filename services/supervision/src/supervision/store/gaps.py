"""Store and read the gaps of moves behind their cases, and the clauses of the lists in force."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg
from shell.store import bulk
from shell.store.transaction import Tx

from supervision.domain.gaps import Clause, Gap
from supervision.tables import ClauseRow, MoveGapRow

_GAP: Final = ", ".join(Gap._fields)
_CLAUSE: Final = ", ".join(Clause._fields)


class OpenGap(NamedTuple):
    person_id: str
    subject: str


async def list_open(tx: Tx, person_ids: Sequence[str]) -> list[OpenGap]:
    """Return the gaps of these people whose cases are not decided."""
    rows = await tx.sql.fetch(
        """SELECT g.person_id, a.subject FROM move_gaps g JOIN alerts a USING (alert_id)
           WHERE g.person_id = ANY($1::uuid[]) AND a.state IN ('raised', 'explained')""",
        person_ids,
    )
    return [OpenGap(*row) for row in rows]


async def upsert_gaps(tx: Tx, gaps: Sequence[Gap]) -> None:
    """Insert or replace gaps. They must be unique by alert id."""
    await bulk.upsert(tx, MoveGapRow, Gap._fields, gaps, key=("alert_id",))


async def load_gaps(connection: asyncpg.Connection, alert_ids: Sequence[str]) -> list[Gap]:
    statement = f"SELECT {_GAP} FROM move_gaps WHERE alert_id = ANY($1::uuid[])"  # noqa: S608
    return [Gap(*row) for row in await connection.fetch(statement, alert_ids)]


async def replace_clauses(tx: Tx, jurisdictions: Sequence[str], clauses: Sequence[Clause]) -> None:
    """Replace all clauses of these areas."""
    await tx.sql.execute("DELETE FROM clauses WHERE jurisdiction = ANY($1::text[])", sorted(jurisdictions))
    await bulk.insert(tx, ClauseRow, Clause._fields, clauses)


async def load_clauses(
    connection: asyncpg.Connection, jurisdictions: Sequence[str], items: Sequence[str]
) -> list[Clause]:
    """Return the clauses of these items in the lists of these areas, oldest version first."""
    rows = await connection.fetch(
        f"""SELECT {_CLAUSE} FROM clauses
            WHERE jurisdiction = ANY($1::text[]) AND item = ANY($2::text[]) ORDER BY valid_from""",  # noqa: S608
        jurisdictions,
        items,
    )
    return [Clause(*row) for row in rows]
