"""Recalculate the dues of accounts from their stored entitlements; write and emit the difference.

All identities of one person are paid as one. The survivor's entitlements give the dues, and payments under any identity
count towards them. Only the survivor's own decision (`aliases`) connects identities, because it uses the facts of all
of them. An account that is merged, but not yet claimed by its survivor, stays unchanged. So a merge alone moves no fen,
in any order of arrival. After an annulled merge each account has its own dues again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from common.events import DueLine, DuesDetermined, EntitlementsDecided, Event
from common.message import Message
from rules.money.due import Due, next_change
from shell import clock
from shell.store.transaction import Tx

from subsidy.domain.accounts import Account, Rules, dues_through, intervals
from subsidy.domain.claims import Claim, settle_claims
from subsidy.domain.dues import Basis, decide_dues, paid_twice, share
from subsidy.domain.ledger import Changes, Key, Position
from subsidy.first_months import ledger_rules
from subsidy.store import accounts, ledger

Causes = Mapping[str, Message[EntitlementsDecided]]
Accounts = dict[str, Account]
Positions = Mapping[str, Mapping[Key, Position]]
ROUNDS_MAX: Final = 8


class _Identities(NamedTuple):
    """`aliases`: by survivor its other identities. `waiting`: accounts that change only with another account."""

    aliases: Mapping[str, Sequence[str]]
    waiting: frozenset[str]


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

    def recalculate(self, account: Account) -> Account:
        """Returns the account to store."""
        entitlements = intervals(account.entitlements)
        # months stay owed even if the clock was set back
        through = max(self.month, account.through_month)
        wanted = dues_through(entitlements, through, account.died_on, self.rules)
        self._write_difference(account, wanted)
        after = next_change(entitlements, after_month=through, died_on=account.died_on)
        return account._replace(through_month=through, next_change_month=after)

    def _write_difference(self, account: Account, wanted: Sequence[Due]) -> None:
        own = self.positions.get(account.person_id, {})
        others = {alias: self.positions.get(alias, {}) for alias in self.identities.aliases.get(account.person_id, ())}
        twice = paid_twice([own, *others.values()]) if others else ()
        basis = Basis(account.cause_event_id, account.died_on, twice)
        for person_id, dues in share(wanted, account.person_id, others).items():
            changed = decide_dues(person_id, dues, self.positions.get(person_id, {}), basis, self.changes)
            self._emit(account, person_id, changed)

    def _emit(self, account: Account, person_id: str, changed: Sequence[DueLine]) -> None:
        """Emit the changed dues of one identity of the account's person, then its recoveries."""
        events: list[Event] = self.changes.take_events()
        if changed:
            version = self.accounts.get(person_id, account).version
            dues = DuesDetermined(person_id=person_id, entitlements_version=version, lines=tuple(changed))
            events.insert(0, dues)
        cause = self.causes.get(person_id) or self.causes.get(account.person_id)
        for event in events:
            self.tx.emit(event, cause or account.cause_event_id)


async def recalculate(
    tx: Tx, changed: Sequence[Account], causes: Causes, month: date, related: Iterable[str] = ()
) -> None:
    """`changed`: locked accounts with their new values. `causes`: by person the decision that changed the account.

    A person without a cause is recalculated because time passed or another identity changed. `related`: other
    persons with changed identities.
    """
    affected = {account.person_id: account for account in changed}
    identities = await _load_identities(tx, affected, set(related))
    positions = await ledger.lock_positions(tx, _person_ids(affected, identities))
    run = _Run(tx, month, causes, affected, identities, positions, await ledger_rules(tx))
    rows = []
    for account in affected.values():
        if account.person_id in identities.waiting:
            rows.append(account._replace(next_change_month=None))
        else:
            rows.append(run.recalculate(account))
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, run.changes, clock.now())


def _person_ids(affected: Accounts, identities: _Identities) -> list[str]:
    ids = set(affected)
    for aliases in identities.aliases.values():
        ids.update(aliases)
    return sorted(ids)


async def _load_identities(tx: Tx, affected: Accounts, related: set[str]) -> _Identities:
    """Add the accounts of all connected identities to `affected`, and decide who is an alias of whom."""
    merged_into = {account.merged_into for account in affected.values() if account.merged_into}
    concerned = {*affected, *related, *merged_into}
    claims = await _load_all_claims(tx, concerned)
    if missing := concerned - affected.keys():
        affected |= await accounts.lock_accounts(tx, sorted(missing))
    survivor_of = settle_claims(claims, {id_: account.merged_into for id_, account in affected.items()})
    aliases: dict[str, list[str]] = {}
    for alias, survivor in sorted(survivor_of.items()):
        if survivor is not None:
            aliases.setdefault(survivor, []).append(alias)
    merged = {id_ for id_, account in affected.items() if account.merged_into is not None}
    return _Identities(aliases, frozenset(merged | survivor_of.keys()))


async def _load_all_claims(tx: Tx, concerned: set[str]) -> set[Claim]:
    """The claims that connect these persons with any others; adds the others to `concerned`."""
    claims = await accounts.load_claims(tx.sql, sorted(concerned))
    for _ in range(ROUNDS_MAX):
        new = {person_id for claim in claims for person_id in claim} - concerned
        if not new:
            break
        concerned |= new
        claims |= await accounts.load_claims(tx.sql, sorted(new))
    return claims
