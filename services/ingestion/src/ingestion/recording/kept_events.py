"""Decrypts stored events, and encrypts fields for the vault."""

from collections.abc import Collection

from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.reading.events import reopen
from ingestion.recording.store import statements as store


def open_event(event_id: str, sealed: bytes) -> Pushed:
    return reopen(vault().open(sealed, event_id.encode()))


async def open_events(tx: Tx, event_ids: Collection[str]) -> dict[str, Pushed]:
    """Load and decrypt recorded events by id, with one SQL statement."""
    sealed = await store.load_sealed(tx.sql, event_ids)
    return {event_id: open_event(event_id, kept) for event_id, kept in sealed.items()}


async def load_source_ids(tx: Tx, event_ids: Collection[str]) -> dict[str, str]:
    """The sources' own ids of recorded events, by event id."""
    events = await open_events(tx, event_ids)
    return {event_id: event.id for event_id, event in events.items()}


def vault_row(person_id: str, field: str, text: str) -> store.Sealed:
    """A row of the vault with the encrypted `text`. `field`: `id_number` or `name`."""
    return store.Sealed(person_id, field, vault().seal(text.encode(), f"{person_id}/{field}".encode()))
