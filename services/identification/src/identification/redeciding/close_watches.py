"""Job: when all people of a watched list are decided again, compare the whole with its simulation and end the watch."""

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
    """One bounded step; returns the number of ended watches.

    Without any, it removes the simulated changes of single people of a simulation that is too old to be signed.
    """
    async with database.reading() as connection:
        done = await watches.list_done(connection)
    for publication in done:
        await _close(database, publication)
    return len(done) or await _remove_old(database)


async def _close(database: Database, publication: Publication) -> None:
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
