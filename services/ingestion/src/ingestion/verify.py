"""Is what ingestion stores consistent with itself? Every check reads the tables as they stand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.events.facts import IdentityChange
from shell.privacy import SealBroken, vault
from shell.store.database import Database

from ingestion.completeness.store import days
from ingestion.domain.identity import histories, identity_statements
from ingestion.domain.person import Person, statements_of
from ingestion.recording.store import statements
from ingestion.review.store import quarantine

PAGE: Final = 1_000
FAULTS_MAX: Final = 100


async def check(database: Database) -> list[str]:
    """Faults in words, at most FAULTS_MAX; people by their surrogate id. Empty: all is well."""
    faults: list[str] = []
    after: str | None = None
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        faults += await quarantine.contradictions(connection, FAULTS_MAX)
        faults += await days.miscounts(connection, FAULTS_MAX)
        while len(faults) < FAULTS_MAX:
            page = await quarantine.list_persons_after(connection, after, PAGE)
            if not page:
                break
            faults += await _faults(connection, page)
            after = page[-1]
    return faults[:FAULTS_MAX]


async def _faults(connection: Any, ids: Sequence[str]) -> list[str]:
    known = await statements.load_persons(connection, ids)
    faults = [f"person {p}: {fault}" for p in ids for fault in _of_statements(known[p])]
    faults += [f"person {p}: {fault}" for p in ids if (fault := _of_identity(known[p], known))]
    sealed = {person_id: value for person_id, _, value in await statements.load_vault(connection, ids, ["id_number"])}
    indexes: dict[str, bytes] = {}
    for person_id in ids:
        if person_id not in sealed:
            faults.append(f"person {person_id}: no sealed ID number")
            continue
        try:
            number = vault().open(sealed[person_id], f"{person_id}/id_number".encode()).decode()
        except SealBroken:
            faults.append(f"person {person_id}: the sealed ID number does not open")
            continue
        indexes[person_id] = vault().blind_index(number)
    found = await statements.list_identities(connection, list(indexes.values()))
    return faults + [
        f"person {person_id}: not found by the sealed ID number"
        for person_id, index in indexes.items()
        if found.get(index) != person_id
    ]


def _of_statements(person: Person) -> list[str]:
    """One version, one newest instant, every chain in its order, nothing twice."""
    said, identities = statements_of(person.statements), person.identities
    newest = [s.recorded_at for s in said] + [i.recorded_at for i in identities]
    newest += [change.at for s in said for change in s.standing]
    if not newest:
        return ["a version, but no statement"] if person.version else []
    faults = []
    if not person.version:
        faults.append("statements, but no version")
    if person.recorded_at != max(newest) and not (
        identities and person.recorded_at and person.recorded_at > max(newest)
    ):
        faults.append("recorded_at is not that of the newest statement")
    last: dict[str, Any] = {}
    for s in said:
        if s.chain in last and s.time < last[s.chain]:
            faults.append(f"chain {s.chain} is out of order")
        last[s.chain] = s.time
    twice = [key for key, times in Counter((s.event_id, s.chain) for s in said).items() if times > 1]
    return faults + [f"event {event_id} stands twice" for event_id, _ in twice]


def _of_identity(person: Person, known: Mapping[str, Person]) -> str | None:
    """Who is the same human follows from what is said in the circle, and from nothing else."""
    mates = {p.person_id: p for p in known.values() if p.circle is not None and p.circle == person.circle}
    if person.circle is not None and person.circle != min(mates):
        return "its circle is not named after its smallest member"
    said = {p: identity_statements(mate.statements) for p, mate in (mates or {person.person_id: person}).items()}
    named = {s.value.same_as for s in said[person.person_id] if isinstance(s.value, IdentityChange)}
    if named - mates.keys():
        return "said to be somebody outside its circle"
    if histories(said).get(person.person_id, ()) != person.identities:
        return "its identities do not follow from what is said of them"
    return None
