"""Read ledger entries: of one person, and summed by account."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import asyncpg

from subsidy.domain.ledger import PAYABLE


class Entry(NamedTuple):
    """A ledger entry; the fields are columns of `entries`. `due_state`: the state of the position it belongs to."""

    entry_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: str
    sequence: int
    debit_account: str
    credit_account: str
    amount_fen: int
    state: str
    fund: str
    batch_id: str | None
    cause_event_id: str | None
    recorded_at: datetime
    posted_at: datetime | None
    due_state: str

    @property
    def is_reversal(self) -> bool:
        """Whether the entry takes back an earlier due or write-off."""
        return self.kind in ("due", "write_off") and self.debit_account == PAYABLE

    @property
    def is_held_due(self) -> bool:
        return self.kind == "due" and self.due_state == "held"


class Cursor(NamedTuple):
    """The place of an entry in the list of a person's entries."""

    service_month: date
    item: str
    jurisdiction: str
    sequence: int
    person_id: str


class AccountSum(NamedTuple):
    account: str
    debit_fen: int
    credit_fen: int


_ENTRY: Final = ", ".join(f"e.{column}" for column in Entry._fields if column != "due_state")


async def person_known(connection: asyncpg.Connection, person_id: str) -> bool:
    return await connection.fetchval("SELECT 1 FROM accounts WHERE person_id = $1", person_id) is not None


async def any_entry(connection: asyncpg.Connection, person_ids: Sequence[str], areas: Sequence[str]) -> bool:
    """Whether these identities have an entry in one of these areas."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM entries WHERE person_id = ANY($1::uuid[]) AND jurisdiction = ANY($2::text[]))",
        person_ids,
        areas,
    )
    return found


async def balance(connection: asyncpg.Connection, person_ids: Sequence[str], areas: Sequence[str] | None) -> int:
    """Return the fen owed and unpaid to a person under these identities. Negative: overpaid. `areas` None: all."""
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
    after: Cursor | None,
    limit: int,
) -> list[Entry]:
    """List the entries of a person's identities in the order of the fields of `Cursor`. `areas` None: all areas.

    `after`: the last entry of the page before.
    """
    rows = await connection.fetch(
        f"""SELECT {_ENTRY}, d.state AS due_state FROM entries e
           JOIN dues d USING (person_id, item, jurisdiction, service_month)
           WHERE e.person_id = ANY($1::uuid[]) AND ($2::text[] IS NULL OR e.jurisdiction = ANY($2))
             AND ($3::date IS NULL
                  OR (e.service_month, e.item, e.jurisdiction, e.sequence, e.person_id) > ($3, $4, $5, $6, $7))
           ORDER BY e.service_month, e.item, e.jurisdiction, e.sequence, e.person_id LIMIT $8""",  # noqa: S608
        person_ids,
        areas,
        *(after or (None, None, None, None, None)),
        limit,
    )
    return [Entry(*row) for row in rows]


async def sum_accounts(connection: asyncpg.Connection, areas: Sequence[str] | None) -> list[AccountSum]:
    """Return the sums of debits and credits per account, over the posted entries. `areas` None: all areas."""
    rows = await connection.fetch(
        """SELECT account, coalesce(sum(debit), 0)::bigint, coalesce(sum(credit), 0)::bigint FROM (
             SELECT unnest(ARRAY[debit_account, credit_account]) AS account,
                    unnest(ARRAY[amount_fen, 0]) AS debit, unnest(ARRAY[0, amount_fen]) AS credit
             FROM entries WHERE state = 'posted' AND ($1::text[] IS NULL OR jurisdiction = ANY($1))) legs
           GROUP BY account ORDER BY account""",
        areas,
    )
    return [AccountSum(*row) for row in rows]
