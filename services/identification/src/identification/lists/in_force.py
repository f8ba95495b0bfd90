"""Load the sets of lists that are or were in force, and put a list in force.

Each set is compiled once and kept in memory. Every replica uses a new set from its next batch on.
"""

from datetime import datetime
from typing import Final

import asyncpg
from common.calendar import civil_date
from common.events import PolicyVersionPublished
from rules.deciding.lists import Lists
from rules.facts.coverage import Coverage
from rules.form.policy import PolicyList, to_event_dict
from rules.proof.edits import Edit
from shell.store.transaction import Tx

from identification.lists.domain.content import ListSet, decode_list, keep
from identification.lists.store import locks, publications
from identification.lists.store.coverage import load_coverage_at
from identification.lists.store.publications import SetId, Signed

_KEPT_MAX: Final = 8  # all but one set answer questions about the past
_kept: dict[str, ListSet] = {}
_edits: dict[tuple[str, str], Edit] = {}


async def share_set_in_force(tx: Tx) -> ListSet:
    """Return the set in force. A shared lock keeps it in force until this transaction ends."""
    await locks.share_lists(tx)
    return await set_in_force(tx.sql)


async def set_in_force(connection: asyncpg.Connection) -> ListSet:
    return await load_set(connection, await publications.newest_set(connection))


async def set_of_digest(connection: asyncpg.Connection, digest: str) -> ListSet:
    """Return the set with a digest, such as the set that made a decision."""
    return await load_set(connection, await publications.set_of_digest(connection, digest))


async def newest_equivalent_set(connection: asyncpg.Connection, digest: str) -> ListSet:
    """Return the newest set that is known to leave a decision by the set `digest` unchanged."""
    return await load_set(connection, await publications.newest_equivalent_set(connection, digest))


async def load_set(connection: asyncpg.Connection, set_id: SetId) -> ListSet:
    found = _kept.get(set_id.digest)
    if found is None:
        found = keep(_kept, set_id.digest, await _compile(connection, set_id), _KEPT_MAX)
    return found


async def _compile(connection: asyncpg.Connection, set_id: SetId) -> ListSet:
    stored = await publications.load_lists_at(connection, set_id.seq)
    declared = await load_coverage_at(connection, set_id.seq)
    coverage = Coverage({division: feeds or () for division, feeds in declared.items()})
    lists = Lists((decode_list(one.list) for one in stored.values()), coverage=coverage)
    return ListSet(set_id.digest, {area: one.version for area, one in stored.items()}, lists)


async def edit_between(connection: asyncpg.Connection, before: SetId, after: SetId) -> Edit:
    """Return the difference between two sets."""
    key = before.digest, after.digest
    found = _edits.get(key)
    if found is None:
        old, new = await load_set(connection, before), await load_set(connection, after)
        found = keep(_edits, key, Edit(old.lists, new.lists), _KEPT_MAX)
    return found


async def edit_since(connection: asyncpg.Connection, digest: str, list_set: ListSet) -> Edit:
    """Return the difference between the set that made a stored decision (`digest`) and `list_set`."""
    found = _edits.get((digest, list_set.digest))
    if found is None:
        before = await publications.set_of_digest(connection, digest)
        after = await publications.set_of_digest(connection, list_set.digest)
        found = await edit_between(connection, before, after)
    return found


async def publish(
    tx: Tx,
    policy_list: PolicyList,
    version: str,
    *,
    now: datetime,
    published_by: str,
    approved_by: str,
    signed: Signed | None = None,
) -> None:
    """Put a stored list in force in its area and emit `PolicyVersionPublished`. The caller holds `locks.lock_lists`."""
    event = PolicyVersionPublished(
        jurisdiction=policy_list.jurisdiction,
        version=version,
        published_on=civil_date(now),
        list=to_event_dict(policy_list),
    )
    await publications.append_publication(
        tx,
        jurisdiction=policy_list.jurisdiction,
        version=version,
        published_at=now,
        published_by=published_by,
        approved_by=approved_by,
        event_id=tx.emit(event, division=policy_list.jurisdiction, urgent=True),  # decisions depend on the list
        signed=signed,
    )
