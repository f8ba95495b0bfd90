"""Store and lock accounts (one row per person), claims between accounts, and the first service month of each area."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

import asyncpg
from rules.money.due import ANYWHERE
from shell.store import bulk, reads
from shell.store.reads import Select, select
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account
from subsidy.domain.claims import Claim
from subsidy.tables import AccountRow, AliasRow, PayFromRow


class Known(NamedTuple):
    """The newest decision that an account contains."""

    version: int
    digest: bytes


_COLUMNS: Final = ", ".join(Account._fields)


@reads.row(Account)
def load_account(person_id: str) -> Select[AccountRow]:
    return select(AccountRow).where(AccountRow.person_id == person_id)


async def load_known(tx: Tx, person_ids: Sequence[str]) -> dict[str, Known]:
    rows = await tx.sql.fetch(
        "SELECT person_id, version, digest FROM accounts WHERE person_id = ANY($1::uuid[])", person_ids
    )
    return {person_id: Known(*known) for person_id, *known in rows}


async def move_versions(tx: Tx, versions: Sequence[tuple[str, int]]) -> None:
    """Store the newest version of decisions that change no dues. `versions`: (person id, version)."""
    if not versions:
        return
    await tx.sql.execute(
        """UPDATE accounts a SET version = u.version FROM unnest($1::uuid[], $2::bigint[]) AS u(person_id, version)
           WHERE a.person_id = u.person_id AND a.version < u.version""",
        *bulk.columns_of(sorted(versions)),
    )


async def lock_accounts(tx: Tx, person_ids: Sequence[str]) -> dict[str, Account]:
    """Lock the accounts whose dues the caller is about to compute, in the order of their ids."""
    rows = await tx.sql.fetch(
        f"SELECT {_COLUMNS} FROM accounts WHERE person_id = ANY($1::uuid[]) ORDER BY person_id FOR UPDATE",  # noqa: S608
        person_ids,
    )
    return {row[0]: Account(*row) for row in rows}


async def lock_due_accounts(tx: Tx, month: date, count_max: int) -> list[Account]:
    """Lock at most `count_max` accounts that may have new dues up to `month`, the earliest first. Accounts locked by
    others are skipped."""
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM accounts WHERE next_change_month <= $1
            ORDER BY next_change_month, person_id LIMIT $2 FOR UPDATE SKIP LOCKED""",  # noqa: S608
        month,
        count_max,
    )
    return [Account(*row) for row in rows]


async def save_accounts(tx: Tx, rows: Sequence[Account]) -> None:
    """Insert or replace accounts. A stored row with a newer version is not replaced."""
    await bulk.upsert(tx, AccountRow, Account._fields, rows, key=("person_id",), guard="t.version <= excluded.version")


async def load_claims(connection: asyncpg.Connection, person_ids: Sequence[str]) -> set[Claim]:
    """All claims in which one of these persons is the survivor or the alias."""
    rows = await connection.fetch(
        """SELECT survivor, alias FROM aliases WHERE survivor = ANY($1::uuid[])
           UNION SELECT survivor, alias FROM aliases WHERE alias = ANY($1::uuid[])""",
        person_ids,
    )
    return {Claim(*row) for row in rows}


async def replace_claims(tx: Tx, claims: Mapping[str, Sequence[str]]) -> set[str]:
    """Replace the aliases of each survivor in `claims`. Returns all former and present aliases."""
    before = await tx.sql.fetch("DELETE FROM aliases WHERE survivor = ANY($1::uuid[]) RETURNING alias", sorted(claims))
    rows = [Claim(survivor, alias) for survivor, aliases in claims.items() for alias in aliases]
    await bulk.insert(tx, AliasRow, Claim._fields, sorted(rows))
    return {row[0] for row in before} | {claim.alias for claim in rows}


async def load_deaths(tx: Tx, person_ids: Sequence[str]) -> dict[str, date]:
    """Return the day of death by person id, for those who died."""
    rows = await tx.sql.fetch(
        "SELECT person_id, died_on FROM accounts WHERE person_id = ANY($1::uuid[]) AND died_on IS NOT NULL",
        person_ids,
    )
    return dict(rows)


async def load_first_months(connection: asyncpg.Connection) -> dict[str, date]:
    """Return by area (`*`: any other) the first service month of this ledger."""
    return dict(await connection.fetch("SELECT jurisdiction, month FROM pay_from"))


async def set_first_months(tx: Tx, months: Mapping[str, date]) -> dict[str, date]:
    """Store the first month of areas that have none yet. Returns the stored months of all areas."""
    await bulk.insert_new(tx, PayFromRow, ("jurisdiction", "month"), sorted(months.items()), returning="jurisdiction")
    found = await load_first_months(tx.sql)
    assert ANYWHERE in found
    return found
