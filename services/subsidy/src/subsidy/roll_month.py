"""Add the dues of a new month, by a job. When a month begins, open entitlements owe one month more."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from common import calendar
from common.events import DuesDetermined, Entitlement
from rules.money.due import Due
from shell import clock
from shell.jobs import each_apart
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account, Rules
from subsidy.domain.claims import persons_in
from subsidy.domain.dues import Basis, decide_dues, key_of
from subsidy.domain.ledger import Changes, Key, Position
from subsidy.first_months import ledger_rules
from subsidy.recalculation import recalculate
from subsidy.store import accounts, ledger

PEOPLE_MAX: Final = 1_000


async def roll_month(database: Database) -> int:
    """Job: add the new dues of at most PEOPLE_MAX people. Returns the number of people who are done. It also adds
    months that were missed during an outage.

    An account whose dues cannot be computed is logged and left out; every later step tries it again.
    """
    month = calendar.month_of(clock.today())
    async with database.transaction() as tx:
        found = await accounts.lock_due_accounts(tx, month, PEOPLE_MAX)
        claims = await accounts.load_claims(tx.sql, [account.person_id for account in found])
        merged = persons_in(claims)
        if merged:
            await recalculate(tx, [account for account in found if account.person_id in merged], {}, month)
        failed = await _roll(tx, [account for account in found if account.person_id not in merged], month)
    return len(found) - failed


async def _roll(tx: Tx, found: Sequence[Account], month: date) -> int:
    """Add the new months. Earlier dues do not change, so their positions are not loaded. Returns how many failed."""
    rules, changes = await ledger_rules(tx), Changes()
    grown, failed = each_apart(
        found,
        lambda account: _grown(account, month, rules),
        lambda account: f"the new month of {account.person_id}",
    )
    stored = await ledger.lock_keys(tx, [key for one in grown for key in one.keys])
    rows = [_add_months(tx, one, stored, month, changes) for one in grown]
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())
    return len(failed)


class _Grown(NamedTuple):
    """An account with its entitlement intervals, and the dues that are new since its last month."""

    account: Account
    intervals: Sequence[Entitlement]
    new: Sequence[Due]

    @property
    def keys(self) -> list[Key]:
        return [key_of(self.account.person_id, line) for line in self.new]


def _grown(account: Account, month: date, rules: Rules) -> _Grown:
    intervals = account.intervals()
    before = account.dues(rules, intervals)
    return _Grown(account, intervals, [line for line in account.dues(rules, intervals, month) if line not in before])


def _add_months(tx: Tx, grown: _Grown, stored: Mapping[Key, Position], month: date, changes: Changes) -> Account:
    """Post and emit the new dues of an account. Returns the account to store.

    `stored`: positions by key. A new due has one if the month was owed before, for example paid in advance.
    """
    account = grown.account
    positions = {key: stored[key] for key in grown.keys if key in stored}
    lines = decide_dues(
        account.person_id, grown.new, positions, Basis(account.cause_event_id, account.died_on), changes
    )
    if lines:
        event = DuesDetermined(person_id=account.person_id, entitlements_version=account.version, lines=tuple(lines))
        tx.emit(event, account.cause_event_id)
    for recovery in changes.take_events():
        tx.emit(recovery, account.cause_event_id)
    return account._replace(through_month=month, next_change_month=account.next_change(grown.intervals, month))
