"""From which service month on this ledger answers for an area: months before it were paid by what came before.

`SHOUWANG_PAY_FROM_MONTH` says so when the service first starts: `2026-06`, or with areas of their own
`2026-06,530302=2026-01`. Without it the month of the first start counts. What is fixed once stays: moving it would
make dues appear or vanish. An area taken into service later is named before its first people arrive.
"""

import logging
from datetime import date
from os import environ

from common import calendar
from rules.money.due import ANYWHERE
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from subsidy.store import accounts

VARIABLE = "SHOUWANG_PAY_FROM_MONTH"
log = logging.getLogger(__name__)


def parse_pay_from(text: str) -> dict[str, date]:
    """`2026-06,530302=2026-01` → by area the first month. Raises ValueError."""
    months: dict[str, date] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        area, _, month = part.rpartition("=")
        months[area.strip() or ANYWHERE] = calendar.parse_month(month.strip())
    return months


async def pay_from(tx: Tx) -> dict[str, date]:
    """By area (`*`: any other) the first month, fixed now if it was not before."""
    found = await accounts.load_pay_from(tx.sql)
    if ANYWHERE in found:
        return found
    return await _fix(tx)


async def fix_pay_from(database: Database) -> None:
    """When the service starts: take what is said about areas that have no month yet."""
    async with database.transaction() as tx:
        found = await _fix(tx)
    for area, month in parse_pay_from(environ.get(VARIABLE, "")).items():
        if found[area] != month:
            log.warning("%s says %s for %s, but %s was fixed before and stays", VARIABLE, month, area, found[area])


async def _fix(tx: Tx) -> dict[str, date]:
    said = parse_pay_from(environ.get(VARIABLE, ""))
    said.setdefault(ANYWHERE, calendar.month_of(clock.today()))
    return await accounts.set_pay_from(tx, said)
