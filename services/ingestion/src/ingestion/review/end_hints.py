"""The job that ends hints: stays and incidents whose source does not belong to the person, and that nobody confirmed.

A stay gets an `ended` statement of the platform itself. It stands behind the last word of the source in its chain, so
that a later word of the source counts. An incident is one day and needs no end.
"""

import logging
from datetime import date, datetime
from typing import Any, Final

from common.events.facts import Statement
from common.message import derived_id
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.store.database import Database

from ingestion.domain.identity import Circles, settle_circles
from ingestion.domain.person import Person, instant_of_batch, place, statements_of
from ingestion.domain.statements import standing_of
from ingestion.recording.batch import Request, load
from ingestion.recording.storage import save_persons
from ingestion.review.store import place_cases as store

log = logging.getLogger(__name__)
STEP_MAX: Final = 200
_LAST: Final = "\U0010ffff"  # behind every id of a source


async def end_hints(database: Database) -> int:
    """One bounded step; returns how many hints it removed."""
    today = clock.today()
    async with database.transaction() as tx:
        due = await store.list_due_hints(tx, today, STEP_MAX)
        if not due:
            return 0
        work = await load(tx, {}, Request(person_ids={row["person_id"] for row in due}))
        instant = instant_of_batch(clock.now(), work.persons.values())
        ended = [row for row in due if end_hint(work.persons[row["person_id"]], row, instant, today)]
        settle_circles(work.persons, Circles(work.persons.values()))
        await save_persons(tx, work, instant)
        await store.remove_hints(tx, [row["chain"] for row in due])
    log.info("%d hints are over, %d of them stays without an end", len(due), len(ended))
    return len(due)


def end_hint(person: Person, hint: Any, instant: datetime, today: date) -> bool:
    """Close the period of the hint's chain at `today`. False where there is nothing to close: it counts fully now, it
    has ended before, or it was annulled."""
    said = [s for s in statements_of(person.statements) if s.chain == hint["chain"]]
    still = [
        fact
        for fact in facts_known_at(said)
        if fact.kind == "hospital_stay" and fact.standing == "hint" and (fact.valid_to is None or fact.valid_to > today)
    ]
    if not still:
        return False
    last = said[-1]
    ended = Statement(
        event_id=derived_id("hint_ended", last.chain, hint["ends_on"].isoformat()),
        chain=last.chain,
        action="ended",
        kind=last.kind,
        source=last.source,
        rank=last.rank,
        time=last.time,
        recorded_at=instant,
        valid_to=today,
    )
    person.statements = place(person.statements, standing_of(ended, instant, "hint"), {ended.event_id: _LAST})
    person.causes[ended.event_id] = None
    person.causes[last.chain] = None  # the event of the source, to which the trace leads
    return True
