"""Entitlements were decided: work out again what is owed, and write the difference."""

from collections.abc import Sequence
from datetime import date

from common import clock
from common.events import DuesDetermined, EntitlementsDecided, Event
from common.message import Message
from common.settings import settings
from common.transaction import Tx
from rules.due import due, next_change

from subsidy.domain.dues import NO_MONEY, cash_part, decide_dues, digest, intervals
from subsidy.domain.ledger import Changes
from subsidy.pay_from import pay_from
from subsidy.store import accounts, ledger
from subsidy.store.accounts import Account

Decided = Message[EntitlementsDecided]


async def on_entitlements_decided(messages: Sequence[Decided], tx: Tx) -> None:
    """Most decisions move no fen: those cost a digest and a version."""
    known = await accounts.load_known(tx, [message.data.person_id for message in messages])
    month = clock.month_of(clock.today())
    unchanged: list[tuple[str, int]] = []
    moneyless: list[Account] = []
    changed: list[tuple[Decided, bytes, bytes]] = []
    for message in messages:
        data = message.data
        before = known.get(data.person_id)
        if before is not None and data.version <= before.version:
            continue
        cash = cash_part(data)
        mark = digest(cash, data.died_on, data.merged_into)
        if before is not None and mark == before.digest:
            unchanged.append((data.person_id, data.version))
        elif before is None and mark == NO_MONEY:
            moneyless.append(_account(message, cash, mark, month, None))
        else:
            changed.append((message, cash, mark))
    await accounts.move_versions(tx, unchanged)
    await accounts.save_accounts(tx, moneyless)
    if changed:
        await _determine(tx, changed, month)


async def _determine(tx: Tx, changed: Sequence[tuple[Decided, bytes, bytes]], month: date) -> None:
    person_ids = [message.data.person_id for message, _, _ in changed]
    before = await accounts.lock_accounts(tx, person_ids)
    stored = await ledger.lock_positions(tx, person_ids)
    floors, demo = await pay_from(tx), settings().demo
    changes, rows = Changes(), []
    for message, cash, mark in changed:
        data, person_id = message.data, message.data.person_id
        entitlements = intervals(cash)
        # a clock that was set back takes nothing away
        through = max(month, before[person_id].through_month) if person_id in before else month
        wanted = due(entitlements, through_month=through, died_on=data.died_on, demo=demo, pay_from=floors)
        lines = decide_dues(
            person_id,
            wanted,
            stored.get(person_id, {}),
            cause_event_id=message.correlation_id,
            died_on=data.died_on,
            changes=changes,
        )
        after = next_change(entitlements, after_month=through, died_on=data.died_on)
        rows.append(_account(message, cash, mark, through, after))
        said: list[Event] = []
        if lines:
            said.append(DuesDetermined(person_id=person_id, entitlements_version=data.version, lines=tuple(lines)))
        for event in (*said, *changes.take_events()):
            tx.emit(event, cause=message)
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())


def _account(message: Decided, cash: bytes, mark: bytes, through: date, next_change_month: date | None) -> Account:
    data = message.data
    return Account(
        data.person_id,
        data.version,
        mark,
        cash,
        data.died_on,
        through,
        next_change_month,
        data.merged_into,
        message.correlation_id,
    )
