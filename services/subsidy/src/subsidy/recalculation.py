"""Recalculate the dues of accounts from their stored entitlements; write and emit the difference.

All identities of one person are paid as one. The survivor's entitlements give the dues, and payments under any identity
count towards them. Only the survivor's own decision (`aliases`) connects identities, because it uses the facts of all
of them. A merged account stays unchanged until the survivor's decision names it. So a merge alone changes no amount, in
any order of arrival. After an annulled merge each account has its own dues again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Final, NamedTuple

from common.events import DueLine, DuesDetermined, EntitlementsDecided
from common.message import Message
from rules.money.due import Due
from shell import clock
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account, Rules, survivors_of
from subsidy.domain.claims import Claim, persons_in, settle_claims
from subsidy.domain.dues import Basis, decide_dues, paid_twice, share
from subsidy.domain.ledger import Changes, Key, Position
from subsidy.first_months import ledger_rules
from subsidy.store import accounts, ledger

Causes = Mapping[str, Message[EntitlementsDecided]]
Accounts = dict[str, Account]
Positions = Mapping[str, Mapping[Key, Position]]
ROUNDS_MAX: Final = 8
_NO_POSITIONS: Final[Mapping[Key, Position]] = {}


class _Identities(NamedTuple):
    """The connections between accounts. `aliases`: by survivor its other identities. `waiting`: accounts that are
    merged by their own decision, or named as an alias by another one. Only their survivor changes their dues."""

    aliases: Mapping[str, Sequence[str]]
    waiting: frozenset[str]

    def with_aliases(self, person_ids: Iterable[str]) -> list[str]:
        """These persons and all aliases, in order."""
        return sorted({*person_ids, *chain.from_iterable(self.aliases.values())})


@dataclass(slots=True)
class _Run:
    """One recalculation in one transaction. `month`: the present month."""

    tx: Tx
    month: date
    causes: Causes
    accounts: Accounts
    identities: _Identities
    positions: Positions
    rules: Rules
    changes: Changes = field(default_factory=Changes)

    def account_after(self, account: Account) -> Account:
        """Write the changed dues of an account. Returns the account to store."""
        if account.person_id in self.identities.waiting:
            return account._replace(next_change_month=None)
        return self._recalculate(account)

    def _recalculate(self, account: Account) -> Account:
        intervals = account.intervals()
        # months stay owed even if the clock was set back
        through = max(self.month, account.through_month)
        self._write_difference(account, account.dues(self.rules, intervals, through))
        return account._replace(through_month=through, next_change_month=account.next_change(intervals, through))

    def _write_difference(self, account: Account, wanted: Sequence[Due]) -> None:
        aliases = self.identities.aliases.get(account.person_id, ())
        others = {alias: self._positions_of(alias) for alias in aliases}
        twice = paid_twice([self._positions_of(account.person_id), *others.values()]) if others else ()
        basis = Basis(account.cause_event_id, account.died_on, twice)
        for person_id, dues in share(wanted, account.person_id, others).items():
            changed = decide_dues(person_id, dues, self._positions_of(person_id), basis, self.changes)
            self._emit(account, person_id, changed)

    def _positions_of(self, person_id: str) -> Mapping[Key, Position]:
        return self.positions.get(person_id, _NO_POSITIONS)

    def _emit(self, account: Account, person_id: str, changed: Sequence[DueLine]) -> None:
        """Emit the changed dues of one identity, then the events about its recoveries."""
        origin = self._origin(account, person_id)
        if changed:
            version = self.accounts.get(person_id, account).version
            dues = DuesDetermined(person_id=person_id, entitlements_version=version, lines=tuple(changed))
            self.tx.emit(dues, origin)
        for event in self.changes.take_events():
            self.tx.emit(event, origin)

    def _origin(self, account: Account, person_id: str) -> Message[EntitlementsDecided] | str | None:
        """The cause of an event: the decision about this identity, else about the account, else its last cause."""
        return self.causes.get(person_id) or self.causes.get(account.person_id) or account.cause_event_id


async def recalculate(
    tx: Tx, changed: Sequence[Account], causes: Causes, month: date, related: Iterable[str] = ()
) -> None:
    """Recalculate the dues of changed accounts and of all connected identities; write and emit the difference.

    `changed`: accounts with their new values; stored ones are locked. `causes`: by person the decision that changed the
    account. A person without a cause is recalculated because time passed or another identity changed. `related`: other
    persons with changed identities.
    """
    affected = {account.person_id: account for account in changed}
    identities = await _load_identities(tx, affected, set(related))
    positions = await ledger.lock_positions(tx, identities.with_aliases(affected))
    run = _Run(tx, month, causes, affected, identities, positions, await ledger_rules(tx))
    await accounts.save_accounts(tx, [run.account_after(account) for account in affected.values()])
    await ledger.save_changes(tx, run.changes, clock.now())


async def _load_identities(tx: Tx, affected: Accounts, related: set[str]) -> _Identities:
    """Add the accounts of all connected identities to `affected`, and decide who is an alias of whom."""
    concerned = {*affected, *related, *survivors_of(affected.values())}
    claims = await _load_all_claims(tx, concerned)
    if missing := concerned - affected.keys():
        affected |= await accounts.lock_accounts(tx, sorted(missing))
    merged_into = {id_: account.merged_into for id_, account in affected.items()}
    survivor_of = settle_claims(claims, merged_into)
    merged = {id_ for id_, survivor in merged_into.items() if survivor is not None}
    return _Identities(_aliases_by_survivor(survivor_of), frozenset(merged | survivor_of.keys()))


def _aliases_by_survivor(survivor_of: Mapping[str, str | None]) -> dict[str, list[str]]:
    aliases: dict[str, list[str]] = {}
    for alias, survivor in sorted(survivor_of.items()):
        if survivor is not None:
            aliases.setdefault(survivor, []).append(alias)
    return aliases


async def _load_all_claims(tx: Tx, concerned: set[str]) -> set[Claim]:
    """Load the claims that connect these persons with other persons. Adds the other persons to `concerned`."""
    claims = await accounts.load_claims(tx.sql, sorted(concerned))
    for _ in range(ROUNDS_MAX):
        new = persons_in(claims) - concerned
        if not new:
            break
        concerned |= new
        claims |= await accounts.load_claims(tx.sql, sorted(new))
    return claims
