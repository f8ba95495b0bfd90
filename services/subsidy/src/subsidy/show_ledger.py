"""A person's ledger, and whether all of it balances."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.calendar import month_text
from common.errors import BadRequest, NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.deciding.unpaid import WHY_UNPAID
from rules.money.due import Example, due
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import INT32_MAX, Cursor
from shell.service import Db
from shell.settings import settings

from subsidy.domain.dues import intervals
from subsidy.domain.ledger import PAYABLE
from subsidy.domain.unpaid import Unpaid, unpaid
from subsidy.shapes import MonthText, Uuid, areas_of
from subsidy.store import accounts
from subsidy.store import entries as reading

router = APIRouter(tags=["ledger"])
_TAKEN_BACK = (("due", PAYABLE), ("write_off", PAYABLE))
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]


class EntryView(BaseModel):
    """One posting: `amount_fen` from `credit_account` to `debit_account`; negative where a due or a write-off is
    taken back."""

    entry_id: str
    person_id: str = Field(description="the identity under which it was posted")
    item: str
    jurisdiction: str
    service_month: MonthText
    kind: str = Field(description="due, pay, back_pay, recover, return, reissue or write_off")
    amount_fen: int
    state: str = Field(description="pending, posted, voided or held; a due is held while its payment waits")
    fund: str
    batch_id: str | None
    cause_event_id: str | None
    recorded_at: datetime
    posted_at: datetime | None
    sequence: int
    debit_account: str
    credit_account: str


class UnpaidView(BaseModel):
    """Granted, but not paid: only an example gives the amount or the pay rule. Such money is no debt and no entry."""

    item: str
    jurisdiction: str
    from_month: MonthText
    through_month: MonthText
    months: int
    amount_fen_per_month: int
    amount_fen: int = Field(description="of all these months; not part of the balance")
    reason: Example
    text: str = Field(description="the reason in Chinese")
    policy: str = Field(description="the policy version with the amount: <area>/<item>@<first day>")


class LedgerView(BaseModel):
    """`balance_fen`: owed and unpaid; negative: overpaid."""

    person_id: str
    aliases: list[str] = Field(description="other identities of the same human; their entries stand here too")
    merged_into: str | None = Field(description="the identity whose ledger holds all of it")
    balance_fen: int
    entries: list[EntryView]
    unpaid: list[UnpaidView] = Field(description="granted and not paid, with the reason; empty in a demonstration")
    next: str | None = Field(description="give it as `after` for the next page")


class AccountView(BaseModel):
    account: str
    balance_fen: int = Field(description="debits minus credits")


class TrialBalance(BaseModel):
    debit_fen: int
    credit_fen: int
    accounts: list[AccountView]


@router.get("/v1/persons/{person_id}/ledger", summary="What is owed and paid to one person")
async def show_ledger(
    person_id: Uuid,
    db: Db,
    caller: Reader,
    after: Cursor | None = None,
    limit: Limit = 500,
) -> LedgerView:
    """The entries of the areas in the caller's scope, by service month, and within one in the order in which they were
    made. A person without money there is not found. The survivor of several identities has the entries of all."""
    areas, start = areas_of(caller), _cursor(after)
    async with db.reading() as connection:
        if not await reading.person_known(connection, person_id):
            raise NotFound("no such person")
        claims = await accounts.load_claims(connection, [person_id])
        aliases = sorted(claim.alias for claim in claims if claim.survivor == person_id)
        identities = [person_id, *aliases]
        balance_fen = await reading.balance(connection, identities, areas)
        rows = await reading.list_entries(connection, identities, areas, start, limit)
        merged_into = next((claim.survivor for claim in claims if claim.alias == person_id), None)
        barred = [] if merged_into else await _unpaid(connection, person_id, areas)
        if areas is not None and not barred and not await reading.any_entry(connection, identities, areas):
            raise NotFound("no such person")  # the links between identities are not shown either
    entries = [_entry_view(row) for row in rows]
    next_ = _cursor_text(rows[-1]) if len(rows) == limit else None
    return LedgerView(
        person_id=person_id,
        aliases=aliases,
        merged_into=merged_into,
        balance_fen=balance_fen,
        entries=entries,
        unpaid=barred,
        next=next_,
    )


async def _unpaid(connection: asyncpg.Connection, person_id: str, areas: Sequence[str] | None) -> list[UnpaidView]:
    """Worked out from the stored entitlements like the dues themselves; a person has few intervals."""
    account = await accounts.load_account(connection, person_id)
    if account is None or account.merged_into is not None:
        return []
    entitlements, floors = intervals(account.entitlements), await accounts.load_pay_from(connection)
    lines = due(
        entitlements,
        through_month=account.through_month,
        died_on=account.died_on,
        demo=settings().demo,
        pay_from=floors,
    )
    return [_unpaid_view(u) for u in unpaid(lines, entitlements) if areas is None or u.jurisdiction in areas]


def _unpaid_view(u: Unpaid) -> UnpaidView:
    return UnpaidView(
        item=u.item,
        jurisdiction=u.jurisdiction,
        from_month=month_text(u.first_month),
        through_month=month_text(u.last_month),
        months=u.months,
        amount_fen_per_month=u.amount_fen_per_month,
        amount_fen=u.amount_fen_per_month * u.months,
        reason=u.reason,
        text=WHY_UNPAID[u.reason],
        policy=u.policy,
    )


@router.get("/v1/trial-balance", summary="Debits, credits and the balance of every account")
async def trial_balance(db: Db, caller: Reader) -> TrialBalance:
    """Over the posted entries of the areas the caller may see."""
    async with db.reading() as connection:
        rows = await reading.account_sums(connection, areas_of(caller))
    return TrialBalance(
        debit_fen=sum(debit for _, debit, _ in rows),
        credit_fen=sum(credit for _, _, credit in rows),
        accounts=[AccountView(account=name, balance_fen=debit - credit) for name, debit, credit in rows],
    )


def _entry_view(row: dict[str, Any]) -> EntryView:
    taken_back = (row["kind"], row["debit_account"]) in _TAKEN_BACK
    amount_fen = -row["amount_fen"] if taken_back else row["amount_fen"]
    held = row["kind"] == "due" and row["due_state"] == "held"
    plain = {
        **row,
        "amount_fen": amount_fen,
        "state": "held" if held else row["state"],
        "service_month": month_text(row["service_month"]),
    }
    return EntryView(**{name: plain[name] for name in EntryView.model_fields})


def _cursor_text(row: dict[str, Any]) -> str:
    return (
        f"{row['service_month'].isoformat()}|{row['item']}|{row['jurisdiction']}|{row['sequence']}|{row['person_id']}"
    )


def _cursor(text: str | None) -> tuple[date, str, str, int, str] | None:
    if text is None:
        return None
    try:
        month, item, jurisdiction, sequence, person_id = text.split("|")
        if not 0 <= int(sequence) <= INT32_MAX:
            raise ValueError("no sequence of an entry")
        return date.fromisoformat(month), item, jurisdiction, int(sequence), str(UUID(person_id))
    except ValueError as wrong:
        raise BadRequest("after is what an earlier answer gave as next", code="bad_cursor") from wrong
