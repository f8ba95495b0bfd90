"""Store a proposed list and emit its event, for officers (by HTTP) and for changed files (at the start)."""

from datetime import datetime

from common.events import PolicyVersionProposed
from rules.form.policy import PolicyList
from rules.words.list_changes import first_day_changed
from shell.store.transaction import Tx

from identification.lists.in_force import set_in_force
from identification.lists.store import policies as store


async def propose(tx: Tx, policy_list: PolicyList, version: str, *, by: str, now: datetime) -> bool:
    """Make a list that is not in force a proposal. Returns False if it is already proposed or approved.

    The caller holds `locks.lock_proposals`. `version`: the digest of the content.
    """
    stored = await store.lock_policy(tx, version)
    if stored is None:
        await store.insert_policy(tx, policy_list, version, state="proposed", proposed_by=by, proposed_at=now)
    elif stored.state in ("published", "halted"):
        await store.propose_again(tx, version, proposed_by=by, proposed_at=now)
    else:
        return False
    area = policy_list.jurisdiction
    changed_from = first_day_changed((await set_in_force(tx.sql)).list_of(area), policy_list)
    tx.emit(PolicyVersionProposed(jurisdiction=area, version=version, changed_from=changed_from), division=area)
    return True
