"""The start job that writes the seed file's entries into the register."""

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
        rows = []
        for urn, entry in seed().items():
            known = newest.get(urn)
            if known is None or _replaces(entry, known):
                rows.append(store.NewVersion(urn, _next(known), now, entry.model_dump_json().encode(), SEED, SEED))
        await store.insert_versions(tx, rows)
    await sources.refresh(database, now=True)


def _replaces(entry: Entry, known: store.Newest) -> bool:
    return known.decided_by == SEED and Entry.model_validate_json(known.entry) != entry


def _next(known: store.Newest | None) -> int:
    return known.version + 1 if known else 1
