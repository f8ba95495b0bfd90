"""Show a person's ledger, and the trial balance."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg
from common.errors import BadRequest, NotFound
from fastapi import APIRouter
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import INT32_MAX
from shell.http.params import Cursor as CursorText
from shell.service import Db

from subsidy.domain.accounts import Account, Rules
from subsidy.domain.claims import Claim
from subsidy.domain.unpaid import Unpaid, unpaid
from subsidy.first_months import stored_rules
from subsidy.scope import Reader, areas_of
from subsidy.shapes import AccountOut, EntryOut, LedgerOut, TrialBalanceOut, UnpaidOut, Uuid
from subsidy.store import accounts
from subsidy.store import entries as store
from subsidy.store.entries import Cursor, Entry

router = APIRouter(tags=["ledger"])


class _Identities(NamedTuple):
    """The identities of one person. The requested `person_id` is a survivor, or merged into one, or neither."""

    person_id: str
    aliases: list[str]
    merged_into: str | None

    @property
    def all(self) -> list[str]:
        return [self.person_id, *self.aliases]


@router.get("/v1/persons/{person_id}/ledger", summary="Amounts owed and paid to one person")
async def show_ledger(
    person_id: Uuid,
    db: Db,
    caller: Reader,
    after: CursorText | None = None,
    limit: Limit = 500,
) -> LedgerOut:
    """The entries of the areas in the caller's scope, by service month, item, area and then by `sequence`. The ledger
    of a survivor includes the entries of all identities. `404` for an unknown person, and for a caller below the nation
    if the person has neither an entry nor an unpaid amount in these areas.
    """
    areas, start = areas_of(caller), _cursor(after)
    async with db.transaction() as tx:
        identities = await _load_identities(tx.sql, person_id)
        balance_fen = await store.balance(tx.sql, identities.all, areas)
        entries = await store.list_entries(tx.sql, identities.all, areas, start, limit)
        barred = await _load_unpaid(tx.sql, identities, areas)
        if not barred:
            await _need_entry(tx.sql, identities, areas)
        await audits.append(tx, caller, act="read", purpose="ledger", person_ids=identities.all)
    return LedgerOut(
        **identities._asdict(),
        balance_fen=balance_fen,
        entries=[EntryOut.of(entry) for entry in entries],
        unpaid=[UnpaidOut.of(row) for row in barred],
        next=_cursor_text(entries[-1]) if len(entries) == limit else None,
    )


async def _load_identities(connection: asyncpg.Connection, person_id: str) -> _Identities:
    """Load the identities of a person. Raises NotFound for an unknown person."""
    if not await store.person_known(connection, person_id):
        raise NotFound("no such person")
    return _identities(person_id, await accounts.load_claims(connection, [person_id]))


def _identities(person_id: str, claims: Iterable[Claim]) -> _Identities:
    aliases = sorted(claim.alias for claim in claims if claim.survivor == person_id)
    merged_into = next((claim.survivor for claim in claims if claim.alias == person_id), None)
    return _Identities(person_id, aliases, merged_into)


async def _need_entry(connection: asyncpg.Connection, identities: _Identities, areas: Sequence[str] | None) -> None:
    """Check that the person has an entry in these areas (None: every area, no check). Raises NotFound if not.

    So the links between identities stay hidden too.
    """
    if areas is not None and not await store.any_entry(connection, identities.all, areas):
        raise NotFound("no such person")


async def _load_unpaid(
    connection: asyncpg.Connection, identities: _Identities, areas: Sequence[str] | None
) -> list[Unpaid]:
    """Compute the unpaid entitlements of a person from the stored entitlements. A merged identity has none."""
    account = await accounts.load_account(connection, identities.person_id)
    if account is None or identities.merged_into or account.merged_into:
        return []
    rows = _unpaid(account, await stored_rules(connection))
    return [row for row in rows if areas is None or row.jurisdiction in areas]


def _unpaid(account: Account, rules: Rules) -> list[Unpaid]:
    intervals = account.intervals()
    return unpaid(account.dues(rules, intervals), intervals)


@router.get("/v1/trial-balance", summary="Debits, credits and the balance of every account")
async def trial_balance(db: Db, caller: Reader) -> TrialBalanceOut:
    """Sums over the posted entries of the areas that the caller may see."""
    async with db.reading() as connection:
        sums = await store.sum_accounts(connection, areas_of(caller))
    return TrialBalanceOut(
        debit_fen=sum(account.debit_fen for account in sums),
        credit_fen=sum(account.credit_fen for account in sums),
        accounts=[AccountOut.of(account) for account in sums],
    )


def _parse_cursor(text: str) -> Cursor:
    """Parse the cursor of a page of entries. Raises ValueError."""
    month, item, jurisdiction, sequence, person_id = text.split("|")
    if not 0 <= int(sequence) <= INT32_MAX:
        raise ValueError("not the sequence of an entry")
    return Cursor(date.fromisoformat(month), item, jurisdiction, int(sequence), str(UUID(person_id)))


def _cursor_text(entry: Entry) -> str:
    month = entry.service_month.isoformat()
    return f"{month}|{entry.item}|{entry.jurisdiction}|{entry.sequence}|{entry.person_id}"


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return _parse_cursor(text)
    except ValueError as wrong:
        raise BadRequest("`after` is not the `next` of an earlier answer", code="bad_cursor") from wrong
