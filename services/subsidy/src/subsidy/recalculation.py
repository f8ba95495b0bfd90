"""Work out what people are owed from their entitlements as they stand, and write and tell the difference.

Identities that turn out to be one human are paid as one: the survivor's timeline says what is owed, and what was paid
under any other identity counts towards it. Who counts as whom is what the survivor's own decision says (`aliases`),
since that decision rests on what is known of all of them; whoever is only said to be merged stays as it is until then.
So a merge alone moves no fen, in whatever order it is heard; annulled, it leaves each with their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from common.events import DuesDetermined, EntitlementsDecided, Event
from common.message import Message
from rules.money.due import due, next_change
from shell import clock
from shell.settings import settings
from shell.store.transaction import Tx

from subsidy.domain.claims import settle_claims
from subsidy.domain.dues import decide_dues, intervals, paid_twice, share
from subsidy.domain.ledger import Changes
from subsidy.first_months import pay_from
from subsidy.store import accounts, ledger
from subsidy.store.accounts import Account

Causes = Mapping[str, Message[EntitlementsDecided]]
ROUNDS_MAX: Final = 8


class _Humans(NamedTuple):
    """`aliases`: by survivor whoever counts as it. `waiting`: identities that wait for the word of another."""

    aliases: Mapping[str, Sequence[str]]
    waiting: frozenset[str]


async def work_out(tx: Tx, people: Sequence[Account], causes: Causes, month: date, beside: Iterable[str] = ()) -> None:
    """`people`: accounts as they are to stand, locked. `causes`: by person the message that says so; who is not in it
    is worked out because time has passed, or because of another identity. `beside`: whom it concerns too."""
    standing = {account.person_id: account for account in people}
    humans = await _gather(tx, standing, set(beside))
    aliases = humans.aliases
    stored = await ledger.lock_positions(tx, sorted({*standing, *(a for many in aliases.values() for a in many)}))
    floors, demo = await pay_from(tx), settings().demo
    changes, rows = Changes(), []
    for account in standing.values():
        if account.person_id in humans.waiting:
            rows.append(account._replace(next_change_month=None))
            continue
        entitlements, died_on = intervals(account.entitlements), account.died_on
        # a clock that was set back takes nothing away
        through = max(month, account.through_month)
        wanted = due(entitlements, through_month=through, died_on=died_on, demo=demo, pay_from=floors)
        others = {alias: stored.get(alias, {}) for alias in aliases.get(account.person_id, ())}
        twice = paid_twice([stored.get(account.person_id, {}), *others.values()]) if others else ()
        for person_id, lines in share(wanted, account.person_id, others).items():
            changed = decide_dues(
                person_id,
                lines,
                stored.get(person_id, {}),
                cause_event_id=account.cause_event_id,
                died_on=died_on,
                changes=changes,
                twice=twice,
            )
            said: list[Event] = changes.take_events()
            if changed:
                version = standing[person_id].version if person_id in standing else account.version
                said.insert(0, DuesDetermined(person_id=person_id, entitlements_version=version, lines=tuple(changed)))
            cause = causes.get(person_id) or causes.get(account.person_id)
            for event in said:
                tx.emit(event, cause or account.cause_event_id)
        after = next_change(entitlements, after_month=through, died_on=died_on)
        rows.append(account._replace(through_month=through, next_change_month=after))
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())


async def _gather(tx: Tx, standing: dict[str, Account], beside: set[str]) -> _Humans:
    """Add the accounts of all identities that hang together with those in `standing`, and say who counts as whom."""
    concerned = {*standing, *beside, *(a.merged_into for a in standing.values() if a.merged_into)}
    claims = await accounts.load_claims(tx.sql, sorted(concerned))
    for _ in range(ROUNDS_MAX):
        more = {person_id for claim in claims for person_id in claim} - concerned
        if not more:
            break
        concerned |= more
        claims |= await accounts.load_claims(tx.sql, sorted(more))
    if missing := concerned - standing.keys():
        standing |= await accounts.lock_accounts(tx, sorted(missing))
    survivor_of = settle_claims(claims, {p: account.merged_into for p, account in standing.items()})
    aliases: dict[str, list[str]] = {}
    for alias, survivor in sorted(survivor_of.items()):
        if survivor is not None:
            aliases.setdefault(survivor, []).append(alias)
    merged = {p for p, account in standing.items() if account.merged_into is not None}
    return _Humans(aliases, frozenset(merged | survivor_of.keys()))
