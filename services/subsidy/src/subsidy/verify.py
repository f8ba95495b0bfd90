"""Is the money right? Every check reads the tables as they stand; an empty answer means nothing was found."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Final

import asyncpg
from rules.money.due import due
from shell.settings import settings
from shell.store.database import Database

from subsidy.domain.dues import intervals
from subsidy.store import accounts, audit

PAGE: Final = 1_000
FOUND_MAX: Final = 100
Lines = dict[tuple[str, str, date], tuple[int, str]]  # by (item, area, service month): fen, state


async def check(database: Database) -> list[str]:
    """What is wrong with dues, ledger, batches and recoveries, in words; at most FOUND_MAX sentences."""
    found: list[str] = []
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for sentence in await audit.contradictions(connection):
            found.append(sentence)
        async for sentence in _dues_differ(connection):
            found.append(sentence)
            if len(found) >= FOUND_MAX:
                return [*found, "and more"]
    return found


async def _dues_differ(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """Dues = due(entitlements) worked out from scratch, for everybody."""
    floors, demo = await accounts.load_pay_from(connection), settings().demo
    after = None
    while page := await audit.load_accounts(connection, after, PAGE):
        after = page[-1].person_id
        stored = await audit.load_dues(connection, [account.person_id for account in page])
        claimed = {claim.alias for claim in await accounts.load_claims(connection, [a.person_id for a in page])}
        for account in page:
            if account.merged_into is not None or account.person_id in claimed:
                continue  # counted with the survivor, or waiting for its word
            wanted = due(
                intervals(account.entitlements),
                through_month=account.through_month,
                died_on=account.died_on,
                demo=demo,
                pay_from=floors,
            )
            expected: Lines = {(d.item, d.jurisdiction, d.service_month): (d.amount_fen, d.state) for d in wanted}
            if expected != (actual := stored.get(account.person_id, {})):
                yield f"dues of {account.person_id} differ from its entitlements: {_difference(expected, actual)}"


def _difference(expected: Lines, actual: Lines) -> str:
    keys: Sequence[tuple[str, str, date]] = sorted(
        key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key)
    )
    item, area, month = keys[0]
    first = f"{item} {area} {month:%Y-%m} is {actual.get(keys[0])}, should be {expected.get(keys[0])}"
    return first if len(keys) == 1 else f"{first} (and {len(keys) - 1} more)"
