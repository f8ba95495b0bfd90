"""Accounts: one row per person, and from which month on this ledger answers for an area."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

import asyncpg
from rules.money.due import ANYWHERE
from shell.store import bulk
from shell.store.transaction import Tx

from subsidy.domain.claims import Claim
from subsidy.tables import AccountRow, AliasRow, PayFromRow


class Known(NamedTuple):
    version: int
    digest: bytes


class Account(NamedTuple):
    """A row of `accounts`, in the order of its columns."""

    person_id: str
    version: int
    digest: bytes
    entitlements: bytes
    died_on: date | None
    through_month: date
    next_change_month: date | None
    merged_into: str | None
    cause_event_id: str | None


_COLUMNS: Final = ", ".join(Account._fields)


async def load_account(connection: asyncpg.Connection, person_id: str) -> Account | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM accounts WHERE person_id = $1", person_id)  # noqa: S608
    return Account(*row) if row else None


async def load_known(tx: Tx, person_ids: Sequence[str]) -> dict[str, Known]:
    rows = await tx.sql.fetch(
        "SELECT person_id, version, digest FROM accounts WHERE person_id = ANY($1::uuid[])", person_ids
    )
    return {row[0]: Known(row[1], row[2]) for row in rows}


async def move_versions(tx: Tx, versions: Sequence[tuple[str, int]]) -> None:
    """Remember the newest version of people whose money has not changed."""
    if not versions:
        return
    await tx.sql.execute(
        """UPDATE accounts a SET version = u.version FROM unnest($1::uuid[], $2::bigint[]) AS u(person_id, version)
           WHERE a.person_id = u.person_id AND a.version < u.version""",
        *map(list, zip(*sorted(versions), strict=True)),
    )


async def lock_accounts(tx: Tx, person_ids: Sequence[str]) -> dict[str, Account]:
    """The accounts of people whose dues are about to be worked out; nobody else does it meanwhile."""
    rows = await tx.sql.fetch(
        f"SELECT {_COLUMNS} FROM accounts WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR UPDATE",  # noqa: S608
        person_ids,
    )
    return {row[0]: Account(*row) for row in rows}


async def lock_due_accounts(tx: Tx, month: date, count_max: int) -> list[Account]:
    """People for whom a month has brought something new, except those whom somebody is working on."""
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM accounts WHERE next_change_month <= $1
            ORDER BY next_change_month, person_id LIMIT $2 FOR UPDATE SKIP LOCKED""",  # noqa: S608
        month,
        count_max,
    )
    return [Account(*row) for row in rows]


async def save_accounts(tx: Tx, rows: Sequence[Account]) -> None:
    await bulk.upsert(tx, AccountRow, Account._fields, rows, key=("person_id",), guard="t.version <= excluded.version")


async def load_claims(connection: asyncpg.Connection, person_ids: Sequence[str]) -> set[Claim]:
    """Who of these counts as whom, or has others counting as them."""
    rows = await connection.fetch(
        """SELECT survivor, alias FROM aliases WHERE survivor = ANY($1::uuid[])
           UNION SELECT survivor, alias FROM aliases WHERE alias = ANY($1::uuid[])""",
        person_ids,
    )
    return {Claim(row[0], row[1]) for row in rows}


async def replace_claims(tx: Tx, claims: Mapping[str, Sequence[str]]) -> set[str]:
    """Let exactly these count as each survivor; returns everybody who counts, or no longer counts, as one of them."""
    before = await tx.sql.fetch("DELETE FROM aliases WHERE survivor = ANY($1::uuid[]) RETURNING alias", sorted(claims))
    rows = sorted((survivor, alias) for survivor, aliases in claims.items() for alias in aliases)
    await bulk.insert(tx, AliasRow, ("survivor", "alias"), rows)
    return {row[0] for row in before} | {alias for _, alias in rows}


async def load_deaths(tx: Tx, person_ids: Sequence[str]) -> dict[str, date]:
    rows = await tx.sql.fetch(
        "SELECT person_id, died_on FROM accounts WHERE person_id = ANY($1::uuid[]) AND died_on IS NOT NULL",
        person_ids,
    )
    return {row[0]: row[1] for row in rows}


async def load_pay_from(connection: asyncpg.Connection) -> dict[str, date]:
    return {row[0]: row[1] for row in await connection.fetch("SELECT jurisdiction, month FROM pay_from")}


async def set_pay_from(tx: Tx, months: Mapping[str, date]) -> dict[str, date]:
    """Fix the first month of areas that have none yet; returns what holds for all areas."""
    await bulk.insert_new(tx, PayFromRow, ("jurisdiction", "month"), sorted(months.items()), returning="jurisdiction")
    found = await load_pay_from(tx.sql)
    assert ANYWHERE in found
    return found
