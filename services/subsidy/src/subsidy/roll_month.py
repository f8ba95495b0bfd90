"""A month has begun: people whose entitlements go on are owed another one."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from common import calendar
from common.events import DuesDetermined
from rules.money.due import due, next_change
from shell import clock
from shell.settings import settings
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.domain.dues import decide_dues, intervals
from subsidy.domain.ledger import Changes
from subsidy.first_months import pay_from
from subsidy.recalculation import work_out
from subsidy.store import accounts, ledger
from subsidy.store.accounts import Account

PEOPLE_MAX: Final = 1_000


async def roll_month(database: Database) -> int:
    """One step: up to PEOPLE_MAX people; returns how many. A service that was down catches up by itself."""
    month = calendar.month_of(clock.today())
    async with database.transaction() as tx:
        found = await accounts.lock_due_accounts(tx, month, PEOPLE_MAX)
        claims = await accounts.load_claims(tx.sql, [a.person_id for a in found])
        merged = {person_id for claim in claims for person_id in claim}
        if merged:
            await work_out(tx, [account for account in found if account.person_id in merged], {}, month)
        await _roll(tx, [account for account in found if account.person_id not in merged], month)
    return len(found)


async def _roll(tx: Tx, found: Sequence[Account], month: date) -> None:
    """Only what is new: nothing but time has passed, so that what was owed before stands and is not even read."""
    floors, demo = await pay_from(tx), settings().demo
    changes, rows = Changes(), []
    for account in found:
        entitlements, died_on = intervals(account.entitlements), account.died_on
        already = due(entitlements, through_month=account.through_month, died_on=died_on, demo=demo, pay_from=floors)
        now = due(entitlements, through_month=month, died_on=died_on, demo=demo, pay_from=floors)
        lines = decide_dues(
            account.person_id,
            [line for line in now if line not in already],
            {},
            cause_event_id=account.cause_event_id,
            died_on=died_on,
            changes=changes,
        )
        rows.append(
            account._replace(
                through_month=month,
                next_change_month=next_change(entitlements, after_month=month, died_on=died_on),
            )
        )
        if lines:
            event = DuesDetermined(
                person_id=account.person_id, entitlements_version=account.version, lines=tuple(lines)
            )
            tx.emit(event, account.cause_event_id)
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())
