"""Record every event as a step in the trace of each pushed change that led to it, and delete old steps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from supervision.domain.received import ReceivedEvent
from supervision.store import steps as store

STEPS_KEPT: Final = timedelta(days=90)  # as long as the topics themselves
REMOVED_MAX: Final = 5_000


async def on_events(received: Sequence[ReceivedEvent], tx: Tx) -> None:
    """Store one step for each event and each pushed change behind it."""
    rows: dict[tuple[str, str], store.StepLine] = {}
    for e in received:
        for cause in e.causes or (e.correlation_id,):
            led_by = None if cause == e.correlation_id else e.correlation_id
            line = (cause, e.event_id, e.causation_id, led_by, e.person_id, e.at, e.version, e.service, e.event_type)
            rows[cause, e.event_id] = line
    await store.append_steps(tx, list(rows.values()))


async def remove_old(database: Database) -> int:
    """Job: delete steps older than STEPS_KEPT, at most REMOVED_MAX. Returns their number."""
    async with database.transaction() as tx:
        return await store.remove_steps(tx, before=clock.now() - STEPS_KEPT, limit=REMOVED_MAX)
