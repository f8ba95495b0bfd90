"""Consistency checks of ingestion's own store. All checks read one snapshot of the tables."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from common.events.facts import Identity, IdentityChange, Statement
from shell.privacy import SealBroken, vault
from shell.store.database import Database

from ingestion.completeness.store import days
from ingestion.domain.identity import histories
from ingestion.domain.links import identity_statements
from ingestion.domain.person import Person, statements_of
from ingestion.domain.stated_chains import NOT_COUNTED
from ingestion.recording.store import statements
from ingestion.review.store import quarantine

Persons = Mapping[str, Person]  # by id
SIZE: Final[str] = "SELECT count(*) FROM persons"
PAGE: Final = 1_000
FAULTS_MAX: Final = 100


async def check(database: Database, today: date) -> list[str]:
    """Return one sentence per fault, at most FAULTS_MAX; the list is empty without a fault.

    A sentence names a person by `person_id`, never by ID number."""
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        faults = await quarantine.contradictions(connection, FAULTS_MAX)
        faults += await days.miscounts(connection, FAULTS_MAX)
        faults += await _person_faults(connection, FAULTS_MAX - len(faults))
    return faults[:FAULTS_MAX]


async def _person_faults(connection: Any, limit: int) -> list[str]:
    """Return the faults of all persons. It reads pages of persons until there are at least `limit` faults."""
    faults: list[str] = []
    after: str | None = None
    while len(faults) < limit:
        page = await quarantine.list_persons_after(connection, after, PAGE)
        if not page:
            break
        faults += await _faults_of_page(connection, page)
        after = page[-1]
    return faults


async def _faults_of_page(connection: Any, ids: Sequence[str]) -> list[str]:
    known = await statements.load_persons(connection, ids)
    faults = []
    for person_id in ids:
        faults += _faults_of(known[person_id], known)
    return faults + await _vault_faults(connection, ids)


def _faults_of(person: Person, known: Persons) -> list[str]:
    faults = _statement_faults(person) + _identity_faults(person, known)
    return [_about(person.person_id, fault) for fault in faults]


def _about(person_id: str, fault: str) -> str:
    return f"person {person_id}: {fault}"


# ── the vault ───────────────────────────────────────────────────────────────────────────────────────────────


async def _vault_faults(connection: Any, ids: Sequence[str]) -> list[str]:
    """Check that each person has an encrypted ID number, and that its blind index leads back to the person."""
    rows = await statements.load_vault(connection, ids, ["id_number"])
    indexes = {row.person_id: _blind_index(row) for row in rows}
    found = await statements.list_identities(connection, [index for index in indexes.values() if index is not None])
    return _missing_numbers(ids, indexes) + _index_faults(indexes, found)


def _missing_numbers(ids: Sequence[str], stored: Collection[str]) -> list[str]:
    return [_about(p, "no sealed ID number") for p in ids if p not in stored]


def _index_faults(indexes: Mapping[str, bytes | None], found: Mapping[bytes, str]) -> list[str]:
    """Return a fault for each person whose number cannot be decrypted or does not lead back to the person.

    `indexes`: blind index by person, None if the number cannot be decrypted. `found`: person by blind index."""
    faults = []
    for person_id, index in indexes.items():
        if index is None:
            faults.append(_about(person_id, "the sealed ID number does not open"))
        elif found.get(index) != person_id:
            faults.append(_about(person_id, "not found by the sealed ID number"))
    return faults


def _blind_index(row: statements.Sealed) -> bytes | None:
    """Return the blind index of the ID number in this row; None if the number cannot be decrypted."""
    try:
        number = vault().open(row.sealed, f"{row.person_id}/id_number".encode()).decode()
    except SealBroken:
        return None
    return vault().blind_index(number)


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────


def _statement_faults(person: Person) -> list[str]:
    """Check that version and instant match the statements, each chain is in order, and no event is stored twice."""
    stored = statements_of(person.statements)
    return _version_faults(person, _newest_instant(person, stored)) + _order_faults(stored) + _duplicate_faults(stored)


def _version_faults(person: Person, newest: datetime | None) -> list[str]:
    if newest is None:
        return ["a version, but no statement"] if person.version else []
    faults = [] if person.version else ["statements, but no version"]
    if not _is_recorded_at(person, newest):
        faults.append("recorded_at is not that of the newest statement")
    return faults


def _is_recorded_at(person: Person, newest: datetime) -> bool:
    """Whether `person.recorded_at` is the instant `newest`. A person who was ever merged may have a later instant."""
    is_later = person.recorded_at is not None and person.recorded_at > newest
    return person.recorded_at == newest or (bool(person.identities) and is_later)


def _newest_instant(person: Person, stored: Sequence[Statement]) -> datetime | None:
    instants = [identity.recorded_at for identity in person.identities]
    for statement in stored:
        instants += _instants(statement)
    return max(instants, default=None)


def _instants(statement: Statement) -> list[datetime]:
    """The instants at which the statement was recorded, and at which its standing (how far it counts) changed."""
    return [statement.recorded_at, *(change.at for change in statement.standing)]


def _order_faults(stored: Sequence[Statement]) -> list[str]:
    faults = []
    last: dict[str, datetime] = {}
    for statement in stored:
        if statement.time < last.get(statement.chain, statement.time):
            faults.append(f"chain {statement.chain} is out of order")
        last[statement.chain] = statement.time
    return faults


def _duplicate_faults(stored: Sequence[Statement]) -> list[str]:
    times = Counter((s.event_id, s.chain) for s in stored)
    return [f"event {event_id} is stored twice" for (event_id, _), count in times.items() if count > 1]


# ── identities ──────────────────────────────────────────────────────────────────────────────────────────────


def _identity_faults(person: Person, known: Persons) -> list[str]:
    """Return at most one fault of the person's circle or identities.

    A circle (`domain.identity`) is named after its smallest member. The identities of a person follow from the
    statements of its circle alone."""
    mates = _mates(person, known)
    if person.circle is not None and person.circle != min(mates):
        return ["its circle is not named after its smallest member"]
    if _merged_with(person) - mates.keys():
        return ["merged with a person outside its circle"]
    if _derived_identities(person, mates) != person.identities:
        return ["its identities do not follow from its statements"]
    return []


def _merged_with(person: Person) -> set[str]:
    """Return the ids of the persons whom the identity changes of this person name. A change that has never counted is
    left out, such as one that waits for an officer."""
    values = [s.value for s in identity_statements(person.statements) if _has_counted(s)]
    return {value.same_as for value in values if isinstance(value, IdentityChange)}


def _has_counted(statement: Statement) -> bool:
    """Whether the statement counted at any instant."""
    return any(statement.standing_at(at) not in NOT_COUNTED for at in _instants(statement))


def _derived_identities(person: Person, mates: Persons) -> tuple[Identity, ...]:
    stored = {person_id: identity_statements(mate.statements) for person_id, mate in mates.items()}
    return histories(stored).get(person.person_id, ())


def _mates(person: Person, known: Persons) -> Persons:
    """The persons of the person's circle by id, the person included."""
    if person.circle is None:
        return {person.person_id: person}
    return {p: mate for p, mate in known.items() if mate.circle == person.circle}
