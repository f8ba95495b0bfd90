"""Invariant 2: what is stored of every person is what `decide` makes of the stored inputs, from scratch."""

from typing import Final

from shell.store.database import Database

from identification.deciding.decisions import decision_of, inputs_of
from identification.deciding.domain.decision import Person, decide_person, same_content
from identification.deciding.store import adverse
from identification.deciding.store import people as store
from identification.lists.in_force import Running, running_now
from identification.lists.store import coverage
from identification.redeciding import store as redecisions

PAGE: Final = 500
FAULTS_MAX: Final = 100


async def check(database: Database) -> list[str]:
    """Faults in words, at most FAULTS_MAX; people by their surrogate id. Empty: all is well."""
    faults: list[str] = []
    after: str | None = None
    async with database.reading() as connection:
        running = await running_now(connection)
        faults += [
            f"what is told in {division} is declared, but decides nothing yet"
            for division in await coverage.list_waiting(connection, FAULTS_MAX)
        ]
        faults += [
            f"people touched by the list {version} of {jurisdiction} are still to be decided again"
            for jurisdiction, version in await redecisions.open_redecisions(connection)
        ]
        faults += [
            f"the reasons of decision {version} of person {person_id} could not be written down"
            for person_id, version in await adverse.list_laid_aside(connection, FAULTS_MAX)
        ]
    while len(faults) < FAULTS_MAX:
        async with database.reading() as connection:
            page = await store.list_people_after(connection, after, PAGE)
        if not page:
            break
        faults += [f"person {p.person_id}: {fault}" for p in page if (fault := _fault(p, running))]
        after = page[-1].person_id
    return faults[:FAULTS_MAX]


def _fault(person: Person, running: Running) -> str | None:
    inputs, stored = inputs_of(person), decision_of(person)
    if inputs is None:
        return "decided without facts" if stored else None
    if stored is None:
        return "facts, but no decision"
    event, _ = decide_person(inputs, running.lists)
    if not same_content(stored, event):
        return "the stored decision is not what the rules make of the stored inputs"
    if (stored.person_id, stored.version) != (person.person_id, person.version):
        return "the stored decision is of another version than its row"
    if inputs.facts.version != person.facts_version:
        return "the stored facts are of another version than their row"
    return None
