"""When everybody is decided again by a published list, the whole is held against the whole; then the watch ends."""

from datetime import timedelta

from shell import clock
from shell.store.database import Database

from identification.lists.store import lists as lists_store
from identification.redeciding.drift import LeftBand, watch_end
from identification.redeciding.halt import Reason, halt
from identification.simulating import store
from identification.simulating.domain.band import BandSettings


async def keep_to_band(database: Database) -> int:
    """One bounded step; returns how many watches ended. It also drops what was simulated of single people when nobody
    can sign upon it any more."""
    async with database.reading() as connection:
        done = await store.list_done_watches(connection)
    for job in done:
        async with database.transaction() as tx:
            await lists_store.lock_lists(tx)
            running = await lists_store.running_versions(tx.sql)
            if job["halted_at"] is None and running.get(job["jurisdiction"]) == job["version"]:
                try:
                    await watch_end(tx, job)
                except LeftBand as left:
                    await halt(tx, left.version, Reason("band", "band", left.text, left.live), clock.now())
            await store.end_watch(tx, job["seq"])
    if not done:
        oldest = clock.now() - timedelta(days=BandSettings().simulation_days_max)
        async with database.transaction() as tx:
            return await store.remove_old_changes(tx, oldest)
    return len(done)
