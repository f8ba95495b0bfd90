"""The job that adds up the counts of the batches and notes each source's last arrival per kind."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shell.store.database import Database

from ingestion.completeness.store import alarms, days
from ingestion.domain.completeness import add_up

TALLIES_MAX: Final = 50


async def count_days(database: Database) -> int:
    """Job: add up the counts of at most TALLIES_MAX batches of events; return the number of batches."""
    async with database.transaction() as tx:
        batches = await days.take_tallies(tx, TALLIES_MAX)
        if batches:
            sums = add_up(tally for batch in batches for tally in batch.tallies)
            await days.add_counts(tx, list(sums.values()))
            await alarms.upsert_arrivals(tx, _last_arrivals(batches))
    return len(batches)


def _last_arrivals(batches: Sequence[days.Batch]) -> dict[alarms.SourceKind, datetime]:
    found: dict[alarms.SourceKind, datetime] = {}
    for batch in batches:
        for tally in batch.tallies:
            key = (tally.source, tally.kind)
            found[key] = max(batch.at, found.get(key, batch.at))
    return found
