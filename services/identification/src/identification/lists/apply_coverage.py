"""What is told where has changed: from then on absence is, or is no longer, an answer there.

A declaration is kept as it comes and then put in force like a published list, by a job of its own: nobody may decide
meanwhile, and the handlers of live news must not wait for one another in the middle of a batch.
"""

import logging
from collections.abc import Sequence
from typing import Final

import msgspec
from common.events import CoverageDeclared
from common.message import Message
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.lists.store import coverage as store
from identification.lists.store import lists as lists_store

log = logging.getLogger(__name__)
DIVISIONS_MAX: Final = 1000
_encode = msgspec.json.Encoder().encode


async def on_coverage_declared(messages: Sequence[Message[CoverageDeclared]], tx: Tx) -> None:
    rows = [(m.data.division, m.data.version, _encode(m.data), m.id) for m in messages]
    await store.upsert_declared(tx, rows)


async def apply_coverage(database: Database, divisions_max: int = DIVISIONS_MAX) -> int:
    """One bounded step; returns of how many divisions a declaration was looked at. The people whom it may touch are
    decided again as after a publication (`redecide_people`)."""
    async with database.reading() as connection:
        if not await store.list_waiting(connection, 1):
            return 0
    async with database.transaction() as tx:
        await lists_store.lock_lists(tx)
        waiting = await store.lock_waiting(tx, divisions_max)
        seq, _ = await lists_store.newest_publication(tx.sql)
        if not seq:
            return 0  # the lists come first
        before = await store.load_coverage_at(tx.sql, seq)
        said = {event.division: None if event.withdrawn else event.feeds for event, _ in waiting}
        changed = {division: feeds for division, feeds in said.items() if before.get(division) != feeds}
        if changed:
            now = {d: feeds for d, feeds in (before | changed).items() if feeds is not None}
            newest, event_id = max(waiting, key=lambda one: one[0].recorded_at)
            await store.append_coverage(
                tx,
                changed,
                running_digest=lists_store.running_digest(await lists_store.running_versions(tx.sql), now),
                declared_at=newest.recorded_at,
                event_id=event_id,
            )
            log.info("what is told where has changed in %d divisions", len(changed))
        await store.mark_applied(tx, list(said))
    return len(waiting)
