"""Check the stored decisions. Each must equal a new decision from the stored inputs."""

from datetime import date
from typing import Final

import asyncpg
from shell.store.database import Database

from identification.deciding.domain.decision import decide_person, same_content
from identification.deciding.domain.person import Person, decision_of, inputs_of
from identification.deciding.store import people as store
from identification.deciding.store.adverse import list_set_apart
from identification.lists.domain.content import ListSet
from identification.lists.in_force import set_in_force
from identification.lists.store.coverage import list_waiting
from identification.redeciding.store.parts import open_redecisions

SIZE: Final[str] = "SELECT count(*) FROM persons"
PAGE: Final = 500
FAULTS_MAX: Final = 100


async def check(database: Database, today: date) -> list[str]:
    """Check all people and the unfinished work. Return at most FAULTS_MAX faults as sentences; empty: no fault.

    All is read in one snapshot, because a list published meanwhile changes decisions. People are named by their
    surrogate id. No check depends on `today`.
    """
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        faults = [*await _waiting(connection), *await _of_people(connection)]
    return faults[:FAULTS_MAX]


async def _of_people(connection: asyncpg.Connection) -> list[str]:
    """Return the faults of stored decisions as sentences, until FAULTS_MAX are found."""
    list_set = await set_in_force(connection)
    faults: list[str] = []
    after: str | None = None
    while len(faults) < FAULTS_MAX and (page := await store.list_people_after(connection, after, PAGE)):
        for person in page:
            if fault := _fault(person, list_set):
                faults.append(f"person {person.person_id}: {fault}")
        after = page[-1].person_id
    return faults


async def _waiting(connection: asyncpg.Connection) -> list[str]:
    """Return sentences about work that the jobs have not finished."""
    coverage = [
        f"the coverage declared for {division} is not in force yet"
        for division in await list_waiting(connection, FAULTS_MAX)
    ]
    redecisions = [
        f"people touched by the list {version} of {jurisdiction} are still to be decided again"
        for jurisdiction, version in await open_redecisions(connection)
    ]
    reasons = [
        f"the reasons of decision {version} of person {person_id} could not be written down"
        for person_id, version in await list_set_apart(connection, FAULTS_MAX)
    ]
    return coverage + redecisions + reasons


def _fault(person: Person, list_set: ListSet) -> str | None:
    """Return the first fault of a stored person; None: no fault."""
    inputs, stored = inputs_of(person), decision_of(person)
    if inputs is None:
        return "a decision without facts" if stored else None
    if stored is None:
        return "facts without a decision"
    if not same_content(stored, decide_person(inputs, list_set.lists).event):
        return "the stored decision differs from the decision by the rules"
    if (stored.person_id, stored.version) != (person.person_id, person.version):
        return "the stored decision has another version than its row"
    if inputs.facts.version != person.facts_version:
        return "the stored facts have another version than their row"
    return None
