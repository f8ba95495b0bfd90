"""A proposed list, as a row and as an event. Officers propose over HTTP, changed files when a service starts."""

from datetime import datetime

from common.events import PolicyVersionProposed
from rules.form.policy import PolicyList
from rules.words.list_changes import first_day_changed
from shell.store.transaction import Tx

from identification.lists.in_force import running_now
from identification.lists.store import lists as store


async def propose(tx: Tx, policy_list: PolicyList, version: str, *, by: str, now: datetime) -> bool:
    """Make a list that is not in force a proposal. False: it is one already, or it is approved.

    The caller holds `lock_proposals`. `version`: the digest of the content.
    """
    row = await store.lock_policy(tx, version)
    if row is None:
        await store.insert_policy(tx, policy_list, version, state="proposed", proposed_by=by, proposed_at=now)
    elif row["state"] in ("published", "halted"):
        await store.propose_again(tx, version, proposed_by=by, proposed_at=now)
    else:
        return False
    area = policy_list.jurisdiction
    before = (await running_now(tx.sql)).lists.by_area.get(area) or PolicyList(jurisdiction=area)
    changed_from = first_day_changed(before, policy_list)
    tx.emit(PolicyVersionProposed(jurisdiction=area, version=version, changed_from=changed_from), division=area)
    return True
