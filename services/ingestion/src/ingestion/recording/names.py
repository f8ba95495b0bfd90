"""The name that counts for a person, and whether the person's accounts are under that name."""

from collections.abc import Mapping, Sequence

import msgspec
from common.events.facts import BankAccount, Statement
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.person import Person, join, remember_name, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.statements import holder_of
from ingestion.recording.batch import Work
from ingestion.recording.kept_events import open_events
from ingestion.recording.store import statements as store


async def settle_names(tx: Tx, work: Work) -> None:
    """Seal the names of persons whose registrations have changed their standing; compare account holders with new
    names. The number of SQL statements does not depend on the number of persons."""
    if work.registrations_changed:
        await _rename(tx, work)
    renamed = {person_id for person_id, _ in work.new_names} | work.registrations_changed
    owners = [work.persons[p] for p in sorted(renamed) if b'"bank_account"' in work.persons[p].statements]
    if owners:
        await _compare_holders(tx, owners)


async def _rename(tx: Tx, work: Work) -> None:
    by_person = {p: _registrations(work.persons[p]) for p in sorted(work.registrations_changed)}
    opened = await open_events(tx, [i for ids in by_person.values() for i in ids]) | work.new
    sealed, nameless = [], []
    for person_id, ids in by_person.items():
        name = _newest_name(work.persons[person_id], [opened[i] for i in ids if i in opened])
        if name is None:
            nameless.append(person_id)
        else:
            sealed.append((person_id, "name", vault().seal(name.encode(), f"{person_id}/name".encode())))
    await store.remove_names(tx, nameless)
    await store.upsert_vault(tx, sealed)


def _registrations(person: Person) -> list[str]:
    """Event ids of the registrations that count fully."""
    found = []
    for s in statements_of(person.statements):
        if s.kind == "registration" and s.value is not None and s.standing_at() == "full":
            found.append(s.event_id)
    return found


def _newest_name(person: Person, registrations: Sequence[Pushed]) -> str | None:
    """Remember the newest name of these registrations; None if there is no name."""
    person.memory.name_digest, person.memory.name_at, person.touched = b"", 0.0, True
    named = [e for e in registrations if e.name is not None]
    if not named:
        return None
    newest = max(named, key=lambda e: (e.time, e.name_digest))
    remember_name(person, newest.time, newest.name_digest)
    return newest.name


async def _compare_holders(tx: Tx, persons: Sequence[Person]) -> None:
    """Compare the holders of all accounts with the newest name. No source states the result: it changes at once."""
    by_person = {p.person_id: statements_of(p.statements) for p in persons}
    wanted = [s.event_id for found in by_person.values() for s in found if isinstance(s.value, BankAccount)]
    events = await open_events(tx, wanted)
    for person in persons:
        compared = [_with_holder(s, events, person.memory.name_digest) for s in by_person[person.person_id]]
        person.statements = join(compared)


def _with_holder(statement: Statement, events: Mapping[str, Pushed], name_digest: bytes) -> Statement:
    event = events.get(statement.event_id)
    if event is None or not isinstance(statement.value, BankAccount):
        return statement
    account = msgspec.structs.replace(statement.value, holder=holder_of(event.name_digest, name_digest))
    return msgspec.structs.replace(statement, value=account)
