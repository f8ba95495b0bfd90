"""Consistency checks of ingestion's own store. All checks read one snapshot of the tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from common.events.facts import IdentityChange, Statement
from shell.privacy import SealBroken, vault
from shell.store.database import Database

from ingestion.completeness.store import days
from ingestion.domain.identity import histories, identity_statements
from ingestion.domain.person import Person, statements_of
from ingestion.recording.store import statements
from ingestion.review.store import quarantine

SIZE: Final[str] = "SELECT count(*) FROM persons"
PAGE: Final = 1_000
FAULTS_MAX: Final = 100


async def check(database: Database, today: date) -> list[str]:
    """One sentence per fault, at most FAULTS_MAX; persons are named by surrogate id. An empty list: no fault."""
    faults: list[str] = []
    after: str | None = None
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        faults += await quarantine.contradictions(connection, FAULTS_MAX)
        faults += await days.miscounts(connection, FAULTS_MAX)
        while len(faults) < FAULTS_MAX:
            page = await quarantine.list_persons_after(connection, after, PAGE)
            if not page:
                break
            faults += await _faults_of_page(connection, page)
            after = page[-1]
    return faults[:FAULTS_MAX]


async def _faults_of_page(connection: Any, ids: Sequence[str]) -> list[str]:
    known = await statements.load_persons(connection, ids)
    faults = []
    for person_id in ids:
        person = known[person_id]
        for fault in (*_statement_faults(person), *_identity_faults(person, known)):
            faults.append(f"person {person_id}: {fault}")
    return faults + await _vault_faults(connection, ids)


# ── the vault ───────────────────────────────────────────────────────────────────────────────────────────────


async def _vault_faults(connection: Any, ids: Sequence[str]) -> list[str]:
    """Each person has an encrypted ID number, and its blind index leads back to the person."""
    rows = await statements.load_vault(connection, ids, ["id_number"])
    sealed = {person_id: number for person_id, _, number in rows}
    faults = [f"person {person_id}: no sealed ID number" for person_id in ids if person_id not in sealed]
    indexes = {person_id: _blind_index(person_id, number) for person_id, number in sealed.items()}
    found = await statements.list_identities(connection, [index for index in indexes.values() if index is not None])
    return faults + _index_faults(indexes, found)


def _index_faults(indexes: Mapping[str, bytes | None], found: Mapping[bytes, str]) -> list[str]:
    """`indexes`: blind index by person, None if the number cannot be decrypted. `found`: person by blind index."""
    faults = []
    for person_id, index in indexes.items():
        if index is None:
            faults.append(f"person {person_id}: the sealed ID number does not open")
        elif found.get(index) != person_id:
            faults.append(f"person {person_id}: not found by the sealed ID number")
    return faults


def _blind_index(person_id: str, sealed: bytes) -> bytes | None:
    """None if the ID number cannot be decrypted."""
    try:
        number = vault().open(sealed, f"{person_id}/id_number".encode()).decode()
    except SealBroken:
        return None
    return vault().blind_index(number)


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────


def _statement_faults(person: Person) -> list[str]:
    """Version and instant match the statements; each chain is in order; no event is stored twice."""
    stored = statements_of(person.statements)
    newest = _newest_instant(person, stored)
    if newest is None:
        return ["a version, but no statement"] if person.version else []
    faults = [] if person.version else ["statements, but no version"]
    if not _is_recorded_at(person, newest):
        faults.append("recorded_at is not that of the newest statement")
    return faults + _order_faults(stored) + _duplicate_faults(stored)


def _is_recorded_at(person: Person, newest: datetime) -> bool:
    """A merge with another person may have recorded the person at a later instant."""
    is_later = person.recorded_at is not None and person.recorded_at > newest
    return person.recorded_at == newest or (bool(person.identities) and is_later)


def _newest_instant(person: Person, stored: Sequence[Statement]) -> datetime | None:
    instants = [statement.recorded_at for statement in stored]
    instants += [identity.recorded_at for identity in person.identities]
    for statement in stored:
        instants += [change.at for change in statement.standing]
    return max(instants, default=None)


def _order_faults(stored: Sequence[Statement]) -> list[str]:
    faults = []
    last: dict[str, datetime] = {}
    for statement in stored:
        if statement.chain in last and statement.time < last[statement.chain]:
            faults.append(f"chain {statement.chain} is out of order")
        last[statement.chain] = statement.time
    return faults


def _duplicate_faults(stored: Sequence[Statement]) -> list[str]:
    times = Counter((statement.event_id, statement.chain) for statement in stored)
    return [f"event {event_id} is stored twice" for (event_id, _), count in times.items() if count > 1]


# ── identities ──────────────────────────────────────────────────────────────────────────────────────────────


def _identity_faults(person: Person, known: Mapping[str, Person]) -> list[str]:
    """At most one fault. The identities of a person follow from the statements of its circle alone."""
    mates = _mates(person, known)
    if person.circle is not None and person.circle != min(mates):
        return ["its circle is not named after its smallest member"]
    stored = {person_id: identity_statements(mate.statements) for person_id, mate in mates.items()}
    changes = [s.value for s in stored[person.person_id] if isinstance(s.value, IdentityChange)]
    if {change.same_as for change in changes} - mates.keys():
        return ["merged with a person outside its circle"]
    if histories(stored).get(person.person_id, ()) != person.identities:
        return ["its identities do not follow from its statements"]
    return []


def _mates(person: Person, known: Mapping[str, Person]) -> dict[str, Person]:
    """The persons of the same circle, itself included."""
    if person.circle is None:
        return {person.person_id: person}
    return {mate.person_id: mate for mate in known.values() if mate.circle == person.circle}
