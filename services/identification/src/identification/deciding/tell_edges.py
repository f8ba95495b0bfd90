"""The day has come: what begins or ends today by the calendar alone is told, though nothing new became known."""

from typing import Final

from shell import clock
from shell.store.database import Database

from identification.deciding.decisions import decision_of, edge_events
from identification.deciding.domain.decision import edges_on, next_edge, spells_of
from identification.deciding.store import people as store

PEOPLE_MAX: Final = 2000


async def tell_edges(database: Database, people_max: int = PEOPLE_MAX) -> int:
    """One bounded step; returns how many people it did. Days that passed while the system was down are told one after
    the other. The rows themselves remember how far it got, so a kill in between repeats and loses nothing."""
    today = clock.today()
    async with database.reading() as connection:
        day, mark = await store.next_edge_day(connection)
    if day is None or day > today:
        if mark is None or mark < today.isoformat():
            async with database.transaction() as tx:
                await store.mark_day(tx, today)
        return 0
    async with database.transaction() as tx:
        people = await store.lock_people_with_edge(tx, day, people_max)
        moved = []
        for person in people:
            decision = decision_of(person)
            spells = spells_of(decision.entitlements) if decision else []
            edges = edges_on(spells, day)
            for edge, event in zip(edges, edge_events(person.person_id, edges), strict=True):
                origin = edge.spell.facts[0] if edge.spell.facts else edge.spell.entitlement_id
                tx.emit(event, origin, division=person.residence or person.hukou)
            moved.append((person.person_id, next_edge(spells, day)))
        await store.move_edges(tx, moved)
    return len(people)
