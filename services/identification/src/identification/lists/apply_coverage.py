"""Put declared coverage in force: from then on, a missing fact means "no" in a covered division.

The handler only stores a declaration. A job puts it in force like a published list, because this needs a lock that
excludes all deciders. Handlers of live changes must not wait for that lock inside a batch.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from common.events import CoverageDeclared
from common.message import Message
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.lists.domain.content import set_digest
from identification.lists.store import coverage as store
from identification.lists.store import locks, publications

log = logging.getLogger(__name__)
DIVISIONS_MAX: Final = 1000
_encode = msgspec.json.Encoder().encode


async def on_coverage_declared(messages: Sequence[Message[CoverageDeclared]], tx: Tx) -> None:
    rows = [(m.data.division, m.data.version, _encode(m.data), m.id) for m in messages]
    await store.upsert_declared(tx, rows)


async def apply_coverage(database: Database, divisions_max: int = DIVISIONS_MAX) -> int:
    """Put the waiting declarations of at most `divisions_max` divisions in force; return the number of divisions.

    The job `redecide_people` then decides the touched people again, as after a publication.
    """
    async with database.reading() as connection:
        if not await store.list_waiting(connection, 1):
            return 0
    async with database.transaction() as tx:
        await locks.lock_lists(tx)
        waiting = await store.lock_waiting(tx, divisions_max)
        seq, _ = await publications.newest_set(tx.sql)
        if not seq:
            return 0  # the lists come first
        before = await store.load_coverage_at(tx.sql, seq)
        declared = {event.division: None if event.withdrawn else event.feeds for event, _ in waiting}
        changed = {division: feeds for division, feeds in declared.items() if before.get(division) != feeds}
        if changed:
            await _put_in_force(tx, before, changed, waiting)
        await store.mark_applied(tx, list(declared))
    return len(waiting)


async def _put_in_force(
    tx: Tx, before: store.Declared, changed: Mapping[str, Any], waiting: Sequence[store.Declaration]
) -> None:
    """Store a change of coverage as a publication. `changed`: feeds by division; None: withdrawn."""
    coverage = {division: feeds for division, feeds in {**before, **changed}.items() if feeds is not None}
    newest = max(waiting, key=lambda declaration: declaration.event.recorded_at)
    await store.append_coverage(
        tx,
        changed,
        running_digest=set_digest(await publications.versions_in_force(tx.sql), coverage),
        declared_at=newest.event.recorded_at,
        event_id=newest.event_id,
    )
    log.info("the coverage of %d divisions has changed", len(changed))
