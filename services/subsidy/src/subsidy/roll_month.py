"""Add the dues of a new month, by a job. When a month begins, open entitlements owe one month more."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from common import calendar
from common.events import DuesDetermined, Entitlement
from rules.money.due import Due
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account, Rules
from subsidy.domain.claims import persons_in
from subsidy.domain.dues import Basis, decide_dues
from subsidy.domain.ledger import Changes
from subsidy.first_months import ledger_rules
from subsidy.recalculation import recalculate
from subsidy.store import accounts, ledger

PEOPLE_MAX: Final = 1_000


async def roll_month(database: Database) -> int:
    """Job: add the new dues of at most PEOPLE_MAX people. Returns their number. It also adds months that were missed
    during an outage."""
    month = calendar.month_of(clock.today())
    async with database.transaction() as tx:
        found = await accounts.lock_due_accounts(tx, month, PEOPLE_MAX)
        claims = await accounts.load_claims(tx.sql, [account.person_id for account in found])
        merged = persons_in(claims)
        if merged:
            await recalculate(tx, [account for account in found if account.person_id in merged], {}, month)
        await _roll(tx, [account for account in found if account.person_id not in merged], month)
    return len(found)


async def _roll(tx: Tx, found: Sequence[Account], month: date) -> None:
    """Add the new months. Earlier dues do not change, so their positions are not loaded."""
    rules, changes = await ledger_rules(tx), Changes()
    rows = [_add_months(tx, account, month, rules, changes) for account in found]
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())


def _add_months(tx: Tx, account: Account, month: date, rules: Rules, changes: Changes) -> Account:
    """Post and emit the dues that are new since the account's last month. Returns the account to store."""
    intervals = account.intervals()
    new = _new_dues(account, intervals, month, rules)
    lines = decide_dues(account.person_id, new, {}, Basis(account.cause_event_id, account.died_on), changes)
    if lines:
        event = DuesDetermined(person_id=account.person_id, entitlements_version=account.version, lines=tuple(lines))
        tx.emit(event, account.cause_event_id)
    return account._replace(through_month=month, next_change_month=account.next_change(intervals, month))


def _new_dues(account: Account, intervals: Sequence[Entitlement], month: date, rules: Rules) -> list[Due]:
    before = account.dues(rules, intervals)
    return [line for line in account.dues(rules, intervals, month) if line not in before]
