"""Handle new decisions: recalculate the dues of people whose money can have changed."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from common import calendar
from common.events import EntitlementsDecided
from common.message import Message
from shell import clock
from shell.store.transaction import Tx

from subsidy.domain.accounts import NO_MONEY, Account, cash_part, digest, survivors_of
from subsidy.recalculation import recalculate
from subsidy.store import accounts
from subsidy.store.accounts import Known

Decided = Message[EntitlementsDecided]


class _Decision(NamedTuple):
    """A decision with its `cash_part` and its `digest` (see `domain.accounts`)."""

    message: Decided
    cash: bytes
    digest: bytes

    @property
    def person_id(self) -> str:
        return self.message.data.person_id

    def account(self, through_month: date) -> Account:
        """The account after this decision. Its dues are determined up to `through_month`."""
        data = self.message.data
        return Account(
            person_id=data.person_id,
            version=data.version,
            digest=self.digest,
            entitlements=self.cash,
            died_on=data.died_on,
            through_month=through_month,
            next_change_month=None,
            merged_into=data.merged_into,
            cause_event_id=self.message.correlation_id,
        )


class _Groups(NamedTuple):
    """Decisions by their effect on dues. `unchanged`: person id and version. `without_money`: new accounts without
    dues. `changed`: decisions whose dues must be recalculated."""

    unchanged: list[tuple[str, int]]
    without_money: list[Account]
    changed: list[_Decision]


async def on_entitlements_decided(messages: Sequence[Decided], tx: Tx) -> None:
    """Recalculate the dues of people whose decision changed in a part that dues depend on.

    For the others only the version is stored; a new person without money gets an account without dues.
    """
    known = await accounts.load_known(tx, [message.data.person_id for message in messages])
    month = calendar.month_of(clock.today())
    groups = _group(_newer(messages, known), known, month)
    await accounts.move_versions(tx, groups.unchanged)
    await accounts.save_accounts(tx, groups.without_money)
    if groups.changed:
        await _recalculate(tx, groups.changed, month)


def _group(messages: Sequence[Decided], known: Mapping[str, Known], month: date) -> _Groups:
    groups = _Groups([], [], [])
    for message in messages:
        decision, before = _read(message), known.get(message.data.person_id)
        if before is not None and decision.digest == before.digest:
            groups.unchanged.append((message.data.person_id, message.data.version))
        elif before is None and decision.digest == NO_MONEY:
            groups.without_money.append(decision.account(month))
        else:
            groups.changed.append(decision)
    return groups


def _read(message: Decided) -> _Decision:
    cash = cash_part(message.data)
    return _Decision(message, cash, digest(cash, message.data))


def _newer(messages: Sequence[Decided], known: Mapping[str, Known]) -> list[Decided]:
    """The decisions that are newer than the stored ones."""
    return [message for message in messages if _is_newer(message.data, known.get(message.data.person_id))]


def _is_newer(decided: EntitlementsDecided, before: Known | None) -> bool:
    return before is None or decided.version > before.version


async def _recalculate(tx: Tx, changed: Sequence[_Decision], month: date) -> None:
    causes = {decision.person_id: decision.message for decision in changed}
    before = await accounts.lock_accounts(tx, sorted(causes))
    related = await accounts.replace_claims(tx, {id_: message.data.aliases for id_, message in causes.items()})
    related |= survivors_of(before.values())
    new_accounts = []
    for decision in changed:
        account = before.get(decision.person_id)
        new_accounts.append(decision.account(account.through_month if account else month))
    await recalculate(tx, new_accounts, causes, month, related)
