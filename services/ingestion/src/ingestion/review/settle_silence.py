"""The job that vouches for claimed places to which nobody has objected in time.

Such a place is vouched *by silence*: it is not enough for a death, a bank account or an identity change.
"""

import logging
from typing import Final

from shell import clock
from shell.store.database import Database

from ingestion.domain.standing_state import PlaceRuling
from ingestion.recording.batch import Request
from ingestion.recording.locks import load
from ingestion.recording.recorder import decide_again
from ingestion.review.store import place_cases as store

log = logging.getLogger(__name__)
STEP_MAX: Final = 200


async def settle_silence(database: Database) -> int:
    """Vouch for at most STEP_MAX places that are due, one per person. Returns how many persons it looked at."""
    async with database.transaction() as tx:
        due = await store.list_silent(tx, clock.today(), STEP_MAX)
        first: dict[str, str] = {}
        for row in due:
            first.setdefault(row.person_id, row.case_id)
        if not first:
            return 0
        await load(tx, {}, Request(person_ids=first))  # locks what a decision locks, in the same order
        cases = await store.lock_open(tx, list(first.values()))  # an officer may have been faster
        places = {c.person_id: PlaceRuling(c.chain, c.division, "silent") for c in cases.values()}
        if places:
            await decide_again(tx, Request(person_ids=sorted(places), places=places), clock.now())
    log.info("%d claimed places are vouched by silence", len(places))
    return len(first)
