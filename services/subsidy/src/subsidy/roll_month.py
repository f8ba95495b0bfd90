"""Job: a new month has begun, so open entitlements owe one month more."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from common import calendar
from common.events import DuesDetermined
from rules.money.due import next_change
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account, Rules, dues_through, intervals
from subsidy.domain.dues import Basis, decide_dues
from subsidy.domain.ledger import Changes
from subsidy.first_months import ledger_rules
from subsidy.recalculation import recalculate
from subsidy.store import accounts, ledger

PEOPLE_MAX: Final = 1_000


async def roll_month(database: Database) -> int:
    """One step of at most PEOPLE_MAX people. Returns their number. After an outage the job also adds missed months."""
    month = calendar.month_of(clock.today())
    async with database.transaction() as tx:
        found = await accounts.lock_due_accounts(tx, month, PEOPLE_MAX)
        claims = await accounts.load_claims(tx.sql, [a.person_id for a in found])
        merged = {person_id for claim in claims for person_id in claim}
        if merged:
            await recalculate(tx, [account for account in found if account.person_id in merged], {}, month)
        await _roll(tx, [account for account in found if account.person_id not in merged], month)
    return len(found)


async def _roll(tx: Tx, found: Sequence[Account], month: date) -> None:
    """Only time has passed: earlier dues stay as they are, and their positions are not even loaded."""
    rules = await ledger_rules(tx)
    changes, rows = Changes(), []
    for account in found:
        rows.append(_add_months(tx, account, month, rules, changes))
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())


def _add_months(tx: Tx, account: Account, month: date, rules: Rules, changes: Changes) -> Account:
    """Post and emit the dues that are new since the account's last month. Returns the account to store."""
    entitlements, died_on = intervals(account.entitlements), account.died_on
    before = dues_through(entitlements, account.through_month, died_on, rules)
    now = dues_through(entitlements, month, died_on, rules)
    new = [line for line in now if line not in before]
    lines = decide_dues(account.person_id, new, {}, Basis(account.cause_event_id, died_on), changes)
    if lines:
        event = DuesDetermined(person_id=account.person_id, entitlements_version=account.version, lines=tuple(lines))
        tx.emit(event, account.cause_event_id)
    after = next_change(entitlements, after_month=month, died_on=died_on)
    return account._replace(through_month=month, next_change_month=after)
