"""A list has changed: everybody it may touch is decided again, in bounded steps, behind what is live."""

from typing import Final

from common import clock
from common.codes import divisions
from common.database import Database
from rules.policy import NATION

from identification.deciding import Case, settle
from identification.running import running_for
from identification.store import lists as lists_store
from identification.store import people as store

LOOKED_AT_MAX: Final = 5000
PEOPLE_MAX: Final = 500
PEOPLE_MAX_WHEN_BUSY: Final = 50
BUSY_ROWS: Final = 500  # waiting in the outbox


async def redecide_people(database: Database, people_max: int = PEOPLE_MAX, looked_at_max: int = LOOKED_AT_MAX) -> int:
    """One bounded step of the oldest open publication; returns how many people were looked at.

    While the outbox is full of other news it takes a small step and then its whole pause (0), so that it neither
    stands in the way nor starves. People whom live news have decided by the present lists meanwhile are passed over.
    """
    async with database.transaction() as tx:
        running = await running_for(tx)
        job = await lists_store.lock_open_redecision(tx)
        if job is None:
            return 0
        busy = await lists_store.count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        people_max = min(people_max, PEOPLE_MAX_WHEN_BUSY) if busy else people_max
        page = await store.list_places_after(tx.sql, job["redecided_after"], looked_at_max)
        ids = [
            person_id
            for person_id, places, digest in page
            if digest != running.digest and touches(job["jurisdiction"], places)
        ]
        cut = ids[:people_max]
        people = await store.lock_people(tx, cut)
        cases = [
            Case(person, same_inputs=True, correlation_id=job["event_id"])
            for person in people.values()
            if person.policy_digest != running.digest
        ]
        decided, _ = await settle(tx, cases, running)
        complete = len(cut) == len(ids)
        await lists_store.move_redecision(
            tx,
            job["seq"],
            after=page[-1][0] if complete and page else (cut[-1] if cut else None),
            people=len(decided),
            people_changed=sum(d.event is not None for d in decided),
            done_at=clock.now() if complete and len(page) < looked_at_max else None,
        )
    return 0 if busy else max(len(page), 1)


def touches(jurisdiction: str, places: str) -> bool:
    """Whether a list may say anything about somebody who ever belonged to `places`."""
    return jurisdiction == NATION or any(divisions.within(place, jurisdiction) for place in places.split())
