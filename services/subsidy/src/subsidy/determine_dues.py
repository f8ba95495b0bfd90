"""Handle new decisions: recalculate the dues of people whose money can have changed."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from common import calendar
from common.events import EntitlementsDecided
from common.message import Message
from shell import clock
from shell.store.transaction import Tx

from subsidy.domain.accounts import NO_MONEY, Account, cash_part, digest
from subsidy.recalculation import recalculate
from subsidy.store import accounts
from subsidy.store.accounts import Known

Decided = Message[EntitlementsDecided]


class _Changed(NamedTuple):
    """A decision with its cash part and digest."""

    message: Decided
    cash: bytes
    digest: bytes


async def on_entitlements_decided(messages: Sequence[Decided], tx: Tx) -> None:
    """Most decisions change no dues. They cost one digest and one version update."""
    known = await accounts.load_known(tx, [message.data.person_id for message in messages])
    month = calendar.month_of(clock.today())
    unchanged: list[tuple[str, int]] = []
    without_money: list[Account] = []
    changed: list[_Changed] = []
    for message in _newer(messages, known):
        person_id, version = message.data.person_id, message.data.version
        before = known.get(person_id)
        cash = cash_part(message.data)
        decision = _Changed(message, cash, digest(cash, message.data))
        if before is not None and decision.digest == before.digest:
            unchanged.append((person_id, version))
        elif before is None and decision.digest == NO_MONEY:
            without_money.append(_account(decision, month))
        else:
            changed.append(decision)
    await accounts.move_versions(tx, unchanged)
    await accounts.save_accounts(tx, without_money)
    if changed:
        await _recalculate(tx, changed, month)


def _newer(messages: Sequence[Decided], known: Mapping[str, Known]) -> list[Decided]:
    """The decisions that are newer than the stored ones."""
    found: list[Decided] = []
    for message in messages:
        before = known.get(message.data.person_id)
        if before is None or message.data.version > before.version:
            found.append(message)
    return found


async def _recalculate(tx: Tx, changed: Sequence[_Changed], month: date) -> None:
    causes = {decision.message.data.person_id: decision.message for decision in changed}
    before = await accounts.lock_accounts(tx, sorted(causes))
    aliases = {person_id: message.data.aliases for person_id, message in causes.items()}
    related = await accounts.replace_claims(tx, aliases)
    related |= {account.merged_into for account in before.values() if account.merged_into}
    new_accounts = []
    for decision in changed:
        account = before.get(decision.message.data.person_id)
        new_accounts.append(_account(decision, account.through_month if account else month))
    await recalculate(tx, new_accounts, causes, month, related)


def _account(decision: _Changed, through_month: date) -> Account:
    data = decision.message.data
    return Account(
        person_id=data.person_id,
        version=data.version,
        digest=decision.digest,
        entitlements=decision.cash,
        died_on=data.died_on,
        through_month=through_month,
        next_change_month=None,
        merged_into=data.merged_into,
        cause_event_id=decision.message.correlation_id,
    )
