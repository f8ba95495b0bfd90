"""Every event becomes a step of the chains it belongs to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from supervision.intake import Sighting
from supervision.store import steps as store

STEPS_KEPT: Final = timedelta(days=90)  # as long as the topics themselves
REMOVED_MAX: Final = 5_000


async def on_events(sightings: Sequence[Sighting], tx: Tx) -> None:
    rows: dict[tuple[str, str], store.StepLine] = {}
    for s in sightings:
        for cause in s.causes or (s.correlation_id,):
            led_by = None if cause == s.correlation_id else s.correlation_id
            line = (cause, s.event_id, s.causation_id, led_by, s.person_id, s.at, s.version, s.service, s.what)
            rows[cause, s.event_id] = line
    await store.append_steps(tx, list(rows.values()))


async def remove_old(database: Database) -> int:
    """One bounded step; returns how many steps went."""
    async with database.transaction() as tx:
        return await store.remove_steps(tx, before=clock.now() - STEPS_KEPT, limit=REMOVED_MAX)
