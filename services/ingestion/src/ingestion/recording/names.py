"""Chooses the valid name of a person, and checks whether the person's accounts are under that name."""

from collections.abc import Mapping, Sequence

from common.events.facts import BankAccount, Statement
from msgspec.structs import replace
from shell.store.transaction import Tx

from ingestion.domain.person import Person, forget_name, join, remember_name, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.statements import holder_of
from ingestion.recording.batch import Work
from ingestion.recording.kept_events import open_events, vault_row
from ingestion.recording.store import statements as store


async def settle_names(tx: Tx, work: Work) -> None:
    """Store the encrypted names of persons whose valid registrations have changed. Compare account holders with new
    names. The number of SQL statements does not depend on the number of persons."""
    if work.registrations_changed:
        await _rename(tx, work)
    owners = _renamed_account_owners(work)
    if owners:
        await _compare_holders(tx, owners)


def _renamed_account_owners(work: Work) -> list[Person]:
    renamed = {person_id for person_id, _ in work.new_names} | work.registrations_changed
    persons = [work.persons[person_id] for person_id in sorted(renamed)]
    return [person for person in persons if person.has_account]


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _rename(tx: Tx, work: Work) -> None:
    """Store the newest name of each person whose registrations changed, or remove it if no registration counts."""
    names = await _newest_names(tx, work)
    nameless = [person_id for person_id, name in names.items() if name is None]
    sealed = [vault_row(person_id, "name", name) for person_id, name in names.items() if name is not None]
    await store.remove_names(tx, nameless)
    await store.upsert_vault(tx, sealed)


async def _newest_names(tx: Tx, work: Work) -> dict[str, str | None]:
    """The newest name by person, for the persons whose registrations have changed; it is remembered."""
    by_person = {p: _registrations(work.persons[p]) for p in sorted(work.registrations_changed)}
    opened = await open_events(tx, [i for ids in by_person.values() for i in ids]) | work.new
    names = {}
    for person_id, ids in by_person.items():
        names[person_id] = _remember_newest_name(work.persons[person_id], [opened[i] for i in ids if i in opened])
    return names


def _registrations(person: Person) -> list[str]:
    """Event ids of the registrations with standing `full`."""
    return [s.event_id for s in statements_of(person.statements) if _is_full_registration(s)]


def _is_full_registration(statement: Statement) -> bool:
    stated = statement.kind == "registration" and statement.value is not None
    return stated and statement.standing_at() == "full"


def _remember_newest_name(person: Person, registrations: Sequence[Pushed]) -> str | None:
    """Store the newest name of these registrations in `person.memory` and return it; None if there is none."""
    forget_name(person)
    newest = _newest_named(registrations)
    if newest is None:
        return None
    remember_name(person, newest.time, newest.name_digest)
    return newest.name


def _newest_named(registrations: Sequence[Pushed]) -> Pushed | None:
    named = [e for e in registrations if e.name is not None]
    return max(named, key=lambda e: (e.time, e.name_digest), default=None)


# ── account holders ─────────────────────────────────────────────────────────────────────────────────────────


async def _compare_holders(tx: Tx, persons: Sequence[Person]) -> None:
    """Compare the holders of all accounts with the newest name, and store each result in its statement."""
    stated = [statements_of(person.statements) for person in persons]
    events = await open_events(tx, [i for statements in stated for i in _account_events(statements)])
    for person, statements in zip(persons, stated, strict=True):
        person.statements = join(_with_holder(s, events, person.memory.name_digest) for s in statements)


def _account_events(statements: Sequence[Statement]) -> list[str]:
    return [s.event_id for s in statements if isinstance(s.value, BankAccount)]


def _with_holder(statement: Statement, events: Mapping[str, Pushed], name_digest: bytes) -> Statement:
    """The statement of an account, with its holder compared with the name; other statements as they are."""
    event = events.get(statement.event_id)
    if event is None or not isinstance(statement.value, BankAccount):
        return statement
    holder = holder_of(event.name_digest, name_digest)
    return replace(statement, value=replace(statement.value, holder=holder))
