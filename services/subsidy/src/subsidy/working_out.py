"""Work out what people are owed from their entitlements as they stand, and write and tell the difference.

Two identities that turn out to be one person are paid as one: the survivor's timeline says what is owed, and what
was paid to a merged identity counts towards it. A merge alone moves no fen; annulled, it leaves each with their own.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from common import clock
from common.events import DuesDetermined, EntitlementsDecided, Event
from common.message import Message
from common.settings import settings
from common.transaction import Tx
from rules.due import due, next_change

from subsidy.domain.dues import decide_dues, intervals, share
from subsidy.domain.ledger import Changes
from subsidy.pay_from import pay_from
from subsidy.store import accounts, ledger
from subsidy.store.accounts import Account

Causes = Mapping[str, Message[EntitlementsDecided]]


async def work_out(
    tx: Tx, people: Sequence[Account], before: Mapping[str, Account], causes: Causes, month: date
) -> None:
    """`people`: accounts as they are to stand; `before`: as they stood, locked. `causes`: by person the message that
    says so; who is not in it is worked out because time has passed, or because of somebody merged into them."""
    standing = {account.person_id: account for account in people}
    aliases = await _gather(tx, standing, before)
    stored = await ledger.lock_positions(tx, sorted({*standing, *(a for many in aliases.values() for a in many)}))
    floors, demo = await pay_from(tx), settings().demo
    changes, rows = Changes(), []
    for account in standing.values():
        if account.merged_into is not None:  # the survivor answers; until it is known, everything stays as it is
            rows.append(account._replace(next_change_month=None))
            continue
        entitlements, died_on = intervals(account.entitlements), account.died_on
        # a clock that was set back takes nothing away
        through = max(month, account.through_month)
        wanted = due(entitlements, through_month=through, died_on=died_on, demo=demo, pay_from=floors)
        others = {alias: stored.get(alias, {}) for alias in aliases.get(account.person_id, ())}
        for person_id, lines in share(wanted, account.person_id, others).items():
            changed = decide_dues(
                person_id,
                lines,
                stored.get(person_id, {}),
                cause_event_id=account.cause_event_id,
                died_on=died_on,
                changes=changes,
            )
            said: list[Event] = changes.take_events()
            if changed:
                version = standing[person_id].version if person_id in standing else account.version
                said.insert(0, DuesDetermined(person_id=person_id, entitlements_version=version, lines=tuple(changed)))
            cause = causes.get(person_id) or causes.get(account.person_id)
            for event in said:
                tx.emit(event, cause=cause, correlation_id=None if cause else account.cause_event_id)
        after = next_change(entitlements, after_month=through, died_on=died_on)
        rows.append(account._replace(through_month=through, next_change_month=after))
    await accounts.save_accounts(tx, rows)
    await ledger.save_changes(tx, changes, clock.now())


async def _gather(tx: Tx, standing: dict[str, Account], before: Mapping[str, Account]) -> dict[str, list[str]]:
    """Add the survivors that a merge or its annulment concerns; returns by survivor who is merged into them."""
    concerned = {a.merged_into for a in (*before.values(), *standing.values()) if a.merged_into} - standing.keys()
    if concerned:
        standing |= await accounts.lock_accounts(tx, sorted(concerned))
    aliases: dict[str, list[str]] = {}
    for alias, survivor in await accounts.load_aliases(tx, sorted(standing)):
        if alias not in standing:
            aliases.setdefault(survivor, []).append(alias)
    for account in standing.values():
        if account.merged_into is not None:
            aliases.setdefault(account.merged_into, []).append(account.person_id)
    return {survivor: sorted(merged) for survivor, merged in aliases.items()}
