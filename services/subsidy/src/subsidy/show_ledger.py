"""Show a person's ledger, and the trial balance."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg
from common.errors import BadRequest, NotFound
from fastapi import APIRouter
from shell.http.answers import Limit
from shell.http.params import INT32_MAX
from shell.http.params import Cursor as CursorText
from shell.service import Db

from subsidy.domain.accounts import dues_through, intervals
from subsidy.domain.claims import Claim
from subsidy.domain.unpaid import unpaid
from subsidy.first_months import stored_rules
from subsidy.scope import Reader, areas_of
from subsidy.shapes import AccountOut, EntryOut, LedgerOut, TrialBalanceOut, UnpaidOut, Uuid
from subsidy.store import accounts
from subsidy.store import entries as store
from subsidy.store.entries import Cursor, Entry

router = APIRouter(tags=["ledger"])


class _Identities(NamedTuple):
    """The identities of one person as `person_id` sees them: it is a survivor, or merged into one, or neither."""

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
    """The entries of the areas in the caller's scope, by service month and then in the order in which they were made.
    The ledger of a survivor includes the entries of all identities. `404` for a person without money in these areas.
    """
    areas, start = areas_of(caller), _cursor(after)
    async with db.reading() as connection:
        if not await store.person_known(connection, person_id):
            raise NotFound("no such person")
        identities = _identities(person_id, await accounts.load_claims(connection, [person_id]))
        balance_fen = await store.balance(connection, identities.all, areas)
        entries = await store.list_entries(connection, identities.all, areas, start, limit)
        barred = [] if identities.merged_into else await _unpaid(connection, person_id, areas)
        if areas is not None and not barred and not await store.any_entry(connection, identities.all, areas):
            raise NotFound("no such person")  # the caller must not see the links between identities either
    return LedgerOut(
        **identities._asdict(),
        balance_fen=balance_fen,
        entries=[EntryOut.of(entry) for entry in entries],
        unpaid=barred,
        next=_cursor_text(entries[-1]) if len(entries) == limit else None,
    )


def _identities(person_id: str, claims: Iterable[Claim]) -> _Identities:
    aliases = sorted(claim.alias for claim in claims if claim.survivor == person_id)
    merged_into = next((claim.survivor for claim in claims if claim.alias == person_id), None)
    return _Identities(person_id, aliases, merged_into)


async def _unpaid(connection: asyncpg.Connection, person_id: str, areas: Sequence[str] | None) -> list[UnpaidOut]:
    """Computed from the stored entitlements, as the dues are. A person has few intervals."""
    account = await accounts.load_account(connection, person_id)
    if account is None or account.merged_into is not None:
        return []
    entitlements = intervals(account.entitlements)
    rules = await stored_rules(connection)
    lines = dues_through(entitlements, account.through_month, account.died_on, rules)
    return [UnpaidOut.of(u) for u in unpaid(lines, entitlements) if areas is None or u.jurisdiction in areas]


@router.get("/v1/trial-balance", summary="Debits, credits and the balance of every account")
async def trial_balance(db: Db, caller: Reader) -> TrialBalanceOut:
    """Over the posted entries of the areas the caller may see."""
    async with db.reading() as connection:
        sums = await store.sum_accounts(connection, areas_of(caller))
    return TrialBalanceOut(
        debit_fen=sum(account.debit_fen for account in sums),
        credit_fen=sum(account.credit_fen for account in sums),
        accounts=[AccountOut.of(account) for account in sums],
    )


def _cursor_text(entry: Entry) -> str:
    month = entry.service_month.isoformat()
    return f"{month}|{entry.item}|{entry.jurisdiction}|{entry.sequence}|{entry.person_id}"


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        month, item, jurisdiction, sequence, person_id = text.split("|")
        if not 0 <= int(sequence) <= INT32_MAX:
            raise ValueError("not the sequence of an entry")
        return Cursor(date.fromisoformat(month), item, jurisdiction, int(sequence), str(UUID(person_id)))
    except ValueError as wrong:
        raise BadRequest("`after` is not the `next` of an earlier answer", code="bad_cursor") from wrong
