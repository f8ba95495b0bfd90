"""The job that adds up what the batches counted, and remembers when each source was last heard."""

from datetime import datetime
from typing import Final

from shell.store.database import Database

from ingestion.completeness.store import alarms, days
from ingestion.domain.completeness import add_up

TALLIES_MAX: Final = 50


async def count_days(database: Database) -> int:
    """One bounded step; returns batches added up."""
    async with database.transaction() as tx:
        taken = await days.take_tallies(tx, TALLIES_MAX)
        if taken:
            await days.add_counts(tx, list(add_up(t for _, tallies in taken for t in tallies).values()))
            heard: dict[tuple[str, str], datetime] = {}
            for at, tallies in taken:
                for tally in tallies:
                    key = (tally.source, tally.kind)
                    heard[key] = max(at, heard.get(key, at))
            await alarms.upsert_heard(tx, heard)
    return len(taken)
