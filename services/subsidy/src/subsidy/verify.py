"""Check the stored money: tables against each other, and dues against a full recalculation."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Final

import asyncpg
from shell.store.database import Database

from subsidy.domain.accounts import Account, Rules
from subsidy.first_months import stored_rules
from subsidy.store import accounts, audit
from subsidy.store.audit import Amounts

SIZE: Final[str] = "SELECT count(*) FROM entries"
PAGE: Final = 1_000
FOUND_MAX: Final = 100


async def check(database: Database, today: date) -> list[str]:
    """Return the faults in dues, ledger, batches and recoveries as sentences, at most about FOUND_MAX.

    Each kind of contradiction is one sentence, and each person with wrong dues is one.
    """
    found: list[str] = []
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        found += await audit.contradictions(connection)
        async for sentence in _wrong_dues(connection):
            found.append(sentence)
            if len(found) >= FOUND_MAX:
                return [*found, "and more"]
    return found


async def _wrong_dues(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """Recalculate the dues of every person from the stored entitlements. Yields a sentence per person with a
    difference."""
    rules = await stored_rules(connection)
    after = None
    while page := await audit.load_accounts(connection, after, PAGE):
        after = page[-1].person_id
        for sentence in await _check_page(connection, page, rules):
            yield sentence


async def _check_page(connection: asyncpg.Connection, page: Sequence[Account], rules: Rules) -> list[str]:
    person_ids = [account.person_id for account in page]
    stored = await audit.load_dues(connection, person_ids)
    claimed = {claim.alias for claim in await accounts.load_claims(connection, person_ids)}
    found: list[str] = []
    for account in page:
        # other accounts are counted with the survivor, or unchanged until the survivor's decision arrives
        if account.merged_into is None and account.person_id not in claimed:
            found += _faults(account, rules, stored.get(account.person_id, {}))
    return found


def _faults(account: Account, rules: Rules, actual: Amounts) -> list[str]:
    expected = _expected(account, rules)
    if expected == actual:
        return []
    return [f"dues of {account.person_id} differ from its entitlements: {_difference(expected, actual)}"]


def _expected(account: Account, rules: Rules) -> Amounts:
    lines = account.dues(rules, account.intervals())
    return {(line.item, line.jurisdiction, line.service_month): (line.amount_fen, line.state) for line in lines}


def _difference(expected: Amounts, actual: Amounts) -> str:
    first, *more = sorted(key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key))
    item, area, month = first
    text = f"{item} {area} {month:%Y-%m} is {actual.get(first)}, should be {expected.get(first)}"
    return f"{text} (and {len(more)} more)" if more else text
