"""Store and load the first service month of this ledger by area. An earlier system paid the months before it.

`SHOUWANG_PAY_FROM_MONTH` gives the months: `2026-06`, or with separate areas `2026-06,530302=2026-01`. Without it,
this ledger begins with the month of the first start. The first start stores the months, and they never change:
otherwise dues would appear or vanish. Name a later area in the variable before its first people arrive.
"""

import logging
from datetime import date

import asyncpg
from common import calendar
from rules.money.due import ANYWHERE
from shell import clock
from shell.settings import settings
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.domain.accounts import Rules
from subsidy.settings import SubsidySettings
from subsidy.store import accounts

VARIABLE = "SHOUWANG_PAY_FROM_MONTH"
log = logging.getLogger(__name__)


def parse_first_months(text: str) -> dict[str, date]:
    """Parse a text such as `2026-06,530302=2026-01`. Returns the first month by area. Raises ValueError."""
    months: dict[str, date] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        area, _, month = part.rpartition("=")
        months[area.strip() or ANYWHERE] = calendar.parse_month(month.strip())
    return months


async def ledger_rules(tx: Tx) -> Rules:
    """Return the rules for a computation that writes dues. Stores the first months if the start did not."""
    months = await accounts.load_first_months(tx.sql)
    if ANYWHERE not in months:
        months = await _store(tx)
    return Rules(months, settings().demo)


async def stored_rules(connection: asyncpg.Connection) -> Rules:
    """Return the rules for a computation that only reads."""
    return Rules(await accounts.load_first_months(connection), settings().demo)


async def fix_first_months(database: Database) -> None:
    """On start: store the months of areas that have none yet, and log those that differ from the variable."""
    async with database.transaction() as tx:
        stored = await _store(tx)
    for area, month in _wanted().items():
        if stored[area] != month:
            log.warning("%s gives %s for %s, but %s is stored and stays", VARIABLE, month, area, stored[area])


async def _store(tx: Tx) -> dict[str, date]:
    wanted = {ANYWHERE: calendar.month_of(clock.today())} | _wanted()
    return await accounts.set_first_months(tx, wanted)


def _wanted() -> dict[str, date]:
    return parse_first_months(SubsidySettings().pay_from_month)
