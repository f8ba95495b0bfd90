"""Reading the ledger for people: a person's entries, the sums of the accounts."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import asyncpg

from subsidy.domain.ledger import PAYABLE


async def person_known(connection: asyncpg.Connection, person_id: str) -> bool:
    return await connection.fetchval("SELECT 1 FROM accounts WHERE person_id = $1", person_id) is not None


async def any_entry(connection: asyncpg.Connection, person_ids: Sequence[str], areas: Sequence[str]) -> bool:
    """Whether these identities have an entry of these areas."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM entries WHERE person_id = ANY($1::uuid[]) AND jurisdiction = ANY($2::text[]))",
        person_ids,
        areas,
    )
    return found


async def balance(connection: asyncpg.Connection, person_ids: Sequence[str], areas: Sequence[str] | None) -> int:
    """Fen owed to a human, under all these identities, and unpaid; negative when too much was paid."""
    found: int = await connection.fetchval(
        """SELECT coalesce(sum(CASE $3 WHEN credit_account THEN amount_fen WHEN debit_account THEN -amount_fen END),
                           0)::bigint
           FROM entries
           WHERE person_id = ANY($1::uuid[]) AND state = 'posted' AND ($2::text[] IS NULL OR jurisdiction = ANY($2))""",
        person_ids,
        areas,
        PAYABLE,
    )
    return found


async def list_entries(
    connection: asyncpg.Connection,
    person_ids: Sequence[str],
    areas: Sequence[str] | None,
    after: tuple[date, str, str, int, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Entries with the state of the due they belong to (`due_state`)."""
    rows = await connection.fetch(
        """SELECT e.*, d.state AS due_state FROM entries e
           JOIN dues d USING (person_id, item, jurisdiction, service_month)
           WHERE e.person_id = ANY($1::uuid[]) AND ($2::text[] IS NULL OR e.jurisdiction = ANY($2))
             AND ($3::date IS NULL
                  OR (e.service_month, e.item, e.jurisdiction, e.sequence, e.person_id) > ($3, $4, $5, $6, $7))
           ORDER BY e.service_month, e.item, e.jurisdiction, e.sequence, e.person_id LIMIT $8""",
        person_ids,
        areas,
        *(after or (None, None, None, None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def account_sums(connection: asyncpg.Connection, areas: Sequence[str] | None) -> list[tuple[str, int, int]]:
    """Per account its debits and credits over the posted entries."""
    rows = await connection.fetch(
        """SELECT account, coalesce(sum(debit), 0)::bigint, coalesce(sum(credit), 0)::bigint FROM (
             SELECT unnest(ARRAY[debit_account, credit_account]) AS account,
                    unnest(ARRAY[amount_fen, 0]) AS debit, unnest(ARRAY[0, amount_fen]) AS credit
             FROM entries WHERE state = 'posted' AND ($1::text[] IS NULL OR jurisdiction = ANY($1))) legs
           GROUP BY account ORDER BY account""",
        areas,
    )
    return [tuple(row) for row in rows]
