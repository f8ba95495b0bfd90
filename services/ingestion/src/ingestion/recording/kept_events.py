"""Stored events, opened."""

from collections.abc import Collection

from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.reading.events import reopen
from ingestion.recording.store import statements as store


def open_event(event_id: str, sealed: bytes) -> Pushed:
    return reopen(vault().open(sealed, event_id.encode()))


async def open_events(tx: Tx, event_ids: Collection[str]) -> dict[str, Pushed]:
    """Recorded events by id. The number of statements does not depend on their number."""
    sealed = await store.load_sealed(tx.sql, event_ids)
    return {event_id: open_event(event_id, kept) for event_id, kept in sealed.items()}
