"""The job that ends hints: stays and incidents that were never confirmed, from sources that do not belong.

A stay gets an `ended` statement of the platform itself. In its chain it follows the last statement of the source, so
that a later statement of the source counts. An incident covers one day and needs no end.
"""

import logging
from datetime import date, datetime
from typing import Final

from common.events.facts import Statement
from rules.facts.timeline import Fact, facts_known_at
from shell import clock
from shell.store.database import Database

from ingestion.domain.identity import Circles, settle_circles
from ingestion.domain.person import Person, instant_of_batch, place, statements_of
from ingestion.domain.statements import id_of_hint_end, with_standing
from ingestion.recording.batch import Request
from ingestion.recording.locks import load
from ingestion.recording.storage import save_persons
from ingestion.review.store import place_cases as store

log = logging.getLogger(__name__)
STEP_MAX: Final = 200
_LAST: Final = "\U0010ffff"  # sorts after every id of a source


async def end_hints(database: Database) -> int:
    """End at most STEP_MAX hints that are due. Returns how many it removed."""
    today = clock.today()
    async with database.transaction() as tx:
        due = await store.list_due_hints(tx, today, STEP_MAX)
        if not due:
            return 0
        work = await load(tx, {}, Request(person_ids={hint.person_id for hint in due}))
        instant = instant_of_batch(clock.now(), work.persons.values())
        ended = [hint for hint in due if end_hint(work.persons[hint.person_id], hint, instant, today)]
        settle_circles(work.persons, Circles(work.persons.values()))
        await save_persons(tx, work.persons, instant)
        await store.remove_hints(tx, [hint.chain for hint in due])
    log.info("%d hints have ended, %d of them stays without an end", len(due), len(ended))
    return len(due)


def end_hint(person: Person, hint: store.Hint, instant: datetime, today: date) -> bool:
    """End the stay of a hint at `today`. Return False if there is nothing to end: the hint is an incident, or the stay
    counts fully now, has ended or was annulled."""
    statements = [s for s in statements_of(person.statements) if s.chain == hint.chain]
    if not any(_is_running_hint(fact, today) for fact in facts_known_at(statements)):
        return False
    last = statements[-1]
    ended = Statement(
        event_id=id_of_hint_end(last.chain, today),
        chain=last.chain,
        action="ended",
        kind=last.kind,
        source=last.source,
        rank=last.rank,
        time=last.time,
        recorded_at=instant,
        valid_to=today,
    )
    person.statements = place(person.statements, with_standing(ended, instant, "hint"), {ended.event_id: _LAST})
    person.causes[ended.event_id] = None
    person.causes[last.chain] = None  # the event of the source, to which the trace leads
    return True


def _is_running_hint(fact: Fact, today: date) -> bool:
    running = fact.valid_to is None or fact.valid_to > today
    return running and fact.kind == "hospital_stay" and fact.standing == "hint"
