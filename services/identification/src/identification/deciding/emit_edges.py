"""Job: emit the starts and ends of entitlements whose day has come, without any new fact."""

from datetime import date
from typing import Final

from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.deciding.domain.edges import edge_events, edges_on, next_edge, spells_of
from identification.deciding.domain.person import Person, decision_of
from identification.deciding.store import edges as store

PEOPLE_MAX: Final = 2000


async def emit_edges(database: Database, people_max: int = PEOPLE_MAX) -> int:
    """Emit the edges of at most `people_max` people of one day; return the number of people handled.

    After a downtime, the job handles the missed days one after the other. The rows hold the progress, so a kill neither
    loses nor repeats an event.
    """
    today = clock.today()
    async with database.reading() as connection:
        progress = await store.load_progress(connection)
    if progress.next_on is None or progress.next_on > today:
        if progress.reached is None or progress.reached < today.isoformat():
            async with database.transaction() as tx:
                await store.mark_day(tx, today)
        return 0
    async with database.transaction() as tx:
        people = await store.lock_people_with_edge(tx, progress.next_on, people_max)
        await store.move_edges(tx, [_emit(tx, person, progress.next_on) for person in people])
    return len(people)


def _emit(tx: Tx, person: Person, day: date) -> store.NextEdge:
    """Emit the person's edges of a day; return the person's next day with edges.

    The origin of an event is the first fact of its entitlement, or the id of an entitlement without facts.
    """
    decision = decision_of(person)
    spells = spells_of(decision.entitlements) if decision else []
    edges = edges_on(spells, day)
    for edge, event in zip(edges, edge_events(person.person_id, edges), strict=True):
        origin = edge.spell.facts[0] if edge.spell.facts else edge.spell.entitlement_id
        tx.emit(event, origin, division=person.residence or person.hukou)
    return store.NextEdge(person.person_id, next_edge(spells, day))
