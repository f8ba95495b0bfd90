"""The start job that writes the seed file's entries into the register."""

from datetime import datetime

from shell import clock
from shell.store.database import Database

from ingestion.register import sources
from ingestion.register.seed import SEED, seed
from ingestion.register.shapes import Entry
from ingestion.register.store import registry as store


async def seed_register(database: Database) -> None:
    """Append a version for each entry that is new or changed in the file. Entries that an administrator has decided
    stay as they are."""
    now = clock.now()
    async with database.transaction() as tx:
        newest = await store.load_newest(tx.sql)
        changed = {urn: entry for urn, entry in seed().items() if _is_changed(entry, newest.get(urn))}
        await store.insert_versions(tx, [_row(urn, e, newest.get(urn), now) for urn, e in changed.items()])
    await sources.refresh(database, now=True)


def _is_changed(entry: Entry, known: store.Newest | None) -> bool:
    if known is None:
        return True
    return known.decided_by == SEED and Entry.model_validate_json(known.entry) != entry


def _row(urn: str, entry: Entry, known: store.Newest | None, now: datetime) -> store.NewVersion:
    version = known.version + 1 if known else 1
    return store.NewVersion(urn, version, now, entry.model_dump_json().encode(), SEED, SEED)
