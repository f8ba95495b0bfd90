"""Job: end the watch of a published list when all people whom it touches are decided again.

A watch compares the effect of a published list with its signed simulation. The job makes the last comparison, of all
people.
"""

from datetime import timedelta

from shell import clock
from shell.store.database import Database

from identification.lists.store import locks, publications
from identification.lists.store.publications import Publication
from identification.redeciding.drift import LeftBand, watch_end
from identification.redeciding.halt import halt_by_band
from identification.redeciding.store import watches
from identification.settings import BandSettings


async def close_watches(database: Database) -> int:
    """End the watches whose people are all decided again; return their number.

    If there is none, clean one simulation that is too old to be signed: remove its simulated changes of single people.
    Then return the number of cleaned simulations.
    """
    async with database.reading() as connection:
        done = await watches.list_done(connection)
    for publication in done:
        await _close(database, publication)
    return len(done) or await _remove_old(database)


async def _close(database: Database, publication: Publication) -> None:
    """End one watch. If the list is in force and its effect leaves the band, halt it."""
    async with database.transaction() as tx:
        await locks.lock_lists(tx)
        in_force = await publications.versions_in_force(tx.sql)
        if publication.halted_at is None and in_force.get(publication.jurisdiction) == publication.version:
            try:
                await watch_end(tx, publication)
            except LeftBand as left:
                await halt_by_band(tx, left)
        await watches.end_watch(tx, publication.seq)


async def _remove_old(database: Database) -> int:
    oldest = clock.now() - timedelta(days=BandSettings().simulation_days_max)
    async with database.transaction() as tx:
        return await watches.remove_old_changes(tx, oldest)
