"""Entitlements were decided: work out again what is owed, where that can have changed."""

from collections.abc import Sequence
from datetime import date

from common import calendar
from common.events import EntitlementsDecided
from common.message import Message
from shell import clock
from shell.store.transaction import Tx

from subsidy.domain.dues import NO_MONEY, cash_part, digest
from subsidy.recalculation import work_out
from subsidy.store import accounts
from subsidy.store.accounts import Account

Decided = Message[EntitlementsDecided]


async def on_entitlements_decided(messages: Sequence[Decided], tx: Tx) -> None:
    """Most decisions move no fen: those cost a digest and a version."""
    known = await accounts.load_known(tx, [message.data.person_id for message in messages])
    month = calendar.month_of(clock.today())
    unchanged: list[tuple[str, int]] = []
    moneyless: list[Account] = []
    changed: list[tuple[Decided, bytes, bytes]] = []
    for message in messages:
        data = message.data
        before = known.get(data.person_id)
        if before is not None and data.version <= before.version:
            continue
        cash = cash_part(data)
        mark = digest(cash, data)
        if before is not None and mark == before.digest:
            unchanged.append((data.person_id, data.version))
        elif before is None and mark == NO_MONEY:
            moneyless.append(_account(message, cash, mark, month))
        else:
            changed.append((message, cash, mark))
    await accounts.move_versions(tx, unchanged)
    await accounts.save_accounts(tx, moneyless)
    if changed:
        await _work_out(tx, changed, month)


async def _work_out(tx: Tx, changed: Sequence[tuple[Decided, bytes, bytes]], month: date) -> None:
    causes = {message.data.person_id: message for message, _, _ in changed}
    before = await accounts.lock_accounts(tx, sorted(causes))
    beside = await accounts.replace_claims(tx, {p: message.data.aliases for p, message in causes.items()})
    people = []
    for message, cash, mark in changed:
        account = before.get(message.data.person_id)
        through = account.through_month if account else month
        people.append(_account(message, cash, mark, through))
    beside |= {account.merged_into for account in before.values() if account.merged_into}
    await work_out(tx, people, causes, month, beside)


def _account(message: Decided, cash: bytes, mark: bytes, through: date) -> Account:
    data = message.data
    return Account(
        data.person_id,
        data.version,
        mark,
        cash,
        data.died_on,
        through,
        None,
        data.merged_into,
        message.correlation_id,
    )
