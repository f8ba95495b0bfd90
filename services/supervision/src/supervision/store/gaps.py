"""Gaps of moves behind their cases, and the clauses of the lists in force that they are shown with."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from shell.store import bulk
from shell.store.transaction import Tx

from supervision.tables import ClauseRow, MoveGapRow

GAP: Final = (
    "alert_id",
    "person_id",
    "item",
    "old",
    "left_division",
    "moved_to",
    "moved_on",
    "first_month",
    "until_month",
    "new",
    "old_policy",
    "why",
)
CLAUSE: Final = (
    "jurisdiction",
    "item",
    "valid_from",
    "valid_to",
    "item_title",
    "title",
    "issuer",
    "issued_on",
    "locator",
    "status",
)


async def list_open(tx: Tx, person_ids: Sequence[str]) -> list[Any]:
    """(person_id, subject) of the cases of these people that nobody has decided."""
    rows: list[Any] = await tx.sql.fetch(
        """SELECT g.person_id, a.subject FROM move_gaps g JOIN alerts a USING (alert_id)
           WHERE g.person_id = ANY($1::uuid[]) AND a.state IN ('raised', 'explained')""",
        person_ids,
    )
    return rows


async def upsert_gaps(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
    """`rows`: as GAP, unique by alert_id."""
    await bulk.upsert(tx, MoveGapRow, GAP, rows, key=("alert_id",))


async def load_gaps(connection: asyncpg.Connection, alert_ids: Sequence[str]) -> list[Any]:
    rows: list[Any] = await connection.fetch("SELECT * FROM move_gaps WHERE alert_id = ANY($1::uuid[])", alert_ids)
    return rows


async def replace_clauses(tx: Tx, jurisdictions: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """All of these areas, whose lists have been published. `rows`: as CLAUSE."""
    await tx.sql.execute("DELETE FROM clauses WHERE jurisdiction = ANY($1::text[])", sorted(jurisdictions))
    await bulk.insert(tx, ClauseRow, CLAUSE, rows)


async def load_clauses(connection: asyncpg.Connection, jurisdictions: Sequence[str], items: Sequence[str]) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        "SELECT * FROM clauses WHERE jurisdiction = ANY($1::text[]) AND item = ANY($2::text[]) ORDER BY valid_from",
        jurisdictions,
        items,
    )
    return rows
