"""Compute one chunk of a simulation in a worker process: read its people, decide them by both sets of lists, add up."""

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import asyncpg
import msgspec
from rules.proof.edits import Edit
from shell.store.database import Database

from identification.deciding.decisions import PAUSE_EVERY
from identification.deciding.domain.person import decision_of
from identification.deciding.store import people as people_store
from identification.deciding.store.people import PersonTraits
from identification.lists.domain.content import decode_list, keep
from identification.lists.in_force import load_set
from identification.lists.store.publications import digests_after
from identification.simulating import store
from identification.simulating.domain.comparison import (
    Comparison,
    Count,
    Sides,
    belongs,
    decide_sides,
    is_of_base,
    touches,
    with_list,
)

PAGE: Final = 500  # some megabytes
_KEPT_MAX: Final = 2
_databases: dict[str, Database] = {}  # in a worker: one
_comparisons: dict[str, Comparison] = {}


class Answer(NamedTuple):
    """The result of a chunk. `people`: number of people counted. `tally`: JSON of `rules.money.tallies.Stored`.

    `changes`: (person_id, fen more or less over the window) of people whose decision changes.
    """

    people: int
    tally: bytes
    changes: list[tuple[str, int]]


def simulate_chunk(url: str, simulation_id: str, n: int) -> Answer:
    """Compute chunk `n` of a simulation; runs in a worker process. `url`: of the service's database.

    The worker keeps connection and compiled lists for its next chunk.
    """
    return _loop().run(_simulate_chunk(url, simulation_id, n))


@cache
def _loop() -> asyncio.Runner:
    """Return the event loop of the worker, which all its chunks share."""
    return asyncio.Runner()


async def _simulate_chunk(url: str, simulation_id: str, n: int) -> Answer:
    database = _databases.get(url)
    if database is None:
        database = Database(url, "identification", connections_max=1)
        await database.open()
        _databases[url] = database
    return await answer_chunk(database, simulation_id, n)


async def answer_chunk(database: Database, simulation_id: str, n: int) -> Answer:
    """Compute chunk `n` of a simulation."""
    async with database.reading() as connection:
        comparison = await _comparison(connection, simulation_id)
        return await _answer(connection, comparison, await store.load_chunk(connection, simulation_id, n))


async def _comparison(connection: asyncpg.Connection, simulation_id: str) -> Comparison:
    found = _comparisons.get(simulation_id)
    if found is None:
        found = keep(_comparisons, simulation_id, await _load_comparison(connection, simulation_id), _KEPT_MAX)
    return found


async def _load_comparison(connection: asyncpg.Connection, simulation_id: str) -> Comparison:
    simulation = await store.load_simulation(connection, simulation_id)
    assert simulation is not None
    status = simulation.status
    base = await load_set(connection, simulation.base)
    proposed = with_list(base, decode_list(simulation.list))
    return Comparison(
        simulation_id,
        status.jurisdiction,
        simulation.base.seq,
        base,
        proposed,
        Edit(base.lists, proposed),
        simulation.window,
        status.known_at,
        simulation.settled and not status.replayed,
    )


async def _answer(connection: asyncpg.Connection, comparison: Comparison, ids: store.IdRange) -> Answer:
    """Compute the answer for the people of an id range, page by page, so that memory does not grow with the chunk."""
    count, after, full = Count(comparison.window), ids.after, True
    while full:
        page = await people_store.list_traits_between(connection, after, ids.upto, PAGE)
        for n, sides in enumerate(await _decide_page(connection, comparison, page), 1):
            count.add(sides)
            if n % PAUSE_EVERY == 0:
                await asyncio.sleep(0)  # without workers, the service process runs this
        full = len(page) == PAGE
        after = page[-1].person_id if page else after
    return Answer(count.people, msgspec.json.encode(count.tally.stored()), count.changes)


async def _decide_page(
    connection: asyncpg.Connection, comparison: Comparison, page: Sequence[PersonTraits]
) -> list[Sides]:
    """Return both decisions about each person of a page.

    Untouched people have the stored decision on both sides, so their facts are not read. If it is not a decision by the
    base, they are decided like the others.
    """
    touched, untouched = _divide(comparison, page)
    people = await people_store.load_people(connection, untouched, without_facts=True)
    newer = await digests_after(connection, comparison.base_seq) - {comparison.base.digest}
    found, stale = list[Sides](), list[str]()
    for person in people:
        if not is_of_base(person, comparison, newer):
            stale.append(person.person_id)
        elif decision := decision_of(person):
            found.append(Sides(person, decision, decision))
    for person in await people_store.load_people(connection, [*touched, *stale]):
        if sides := decide_sides(person, comparison, newer):
            found.append(sides)
    return found


def _divide(comparison: Comparison, page: Sequence[PersonTraits]) -> tuple[list[str], list[str]]:
    """Return ids of people of the area: those to decide again, and those whom the edit certainly leaves unchanged."""
    touched, untouched = list[str](), list[str]()
    for person_id, traits in page:
        if traits is None or not belongs(comparison.area, traits):
            continue
        again = not comparison.trusts_stored or touches(comparison, traits)
        (touched if again else untouched).append(person_id)
    return touched, untouched
