"""Which name counts for a person, and under whose name the accounts of the person stand."""

from collections.abc import Collection, Sequence

import msgspec
from common.events.facts import BankAccount
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.person import Person, put_back, remember_name, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.statements import holder_of
from ingestion.recording.batch import Work, open_kept
from ingestion.recording.store import statements as store


async def settle_names(tx: Tx, work: Work) -> None:
    """Seal the name that counts now of persons whose registrations count otherwise; compare holders with new names.
    The number of statements does not depend on the number of persons."""
    if work.renamed:
        await _rename(tx, work)
    owners = [work.persons[p] for p in sorted({p for p, _ in work.names} | work.renamed)]
    owners = [person for person in owners if b'"bank_account"' in person.statements]
    if owners:
        await _compare_holders(tx, owners)


async def _rename(tx: Tx, work: Work) -> None:
    said = {
        person_id: [
            s.event_id
            for s in statements_of(work.persons[person_id].statements)
            if s.kind == "registration" and s.value is not None and s.standing_at() == "full"
        ]
        for person_id in sorted(work.renamed)
    }
    opened = await _open(tx, [i for ids in said.values() for i in ids]) | work.new
    sealed, nameless = [], []
    for person_id, ids in said.items():
        name = _newest_name(work.persons[person_id], [opened[i] for i in ids if i in opened])
        if name is None:
            nameless.append(person_id)
        else:
            sealed.append((person_id, "name", vault().seal(name.encode(), f"{person_id}/name".encode())))
    await store.remove_names(tx, nameless)
    await store.upsert_vault(tx, sealed)


def _newest_name(person: Person, registrations: Sequence[Pushed]) -> str | None:
    """Remember the newest name of these registrations, or that the person has none."""
    person.memory.name_digest, person.memory.name_at, person.touched = b"", 0.0, True
    named = [e for e in registrations if e.name is not None]
    if not named:
        return None
    newest = max(named, key=lambda e: (e.time, e.name_digest))
    remember_name(person, newest.time, newest.name_digest)
    return newest.name


async def _compare_holders(tx: Tx, persons: Sequence[Person]) -> None:
    """The comparison is no statement of a source: it follows the newest name, at once and for all of the accounts."""
    said = {p.person_id: list(statements_of(p.statements)) for p in persons}
    wanted = [s.event_id for statements in said.values() for s in statements if isinstance(s.value, BankAccount)]
    accounts = await _open(tx, wanted)
    for person in persons:
        statements = said[person.person_id]
        for at, s in enumerate(statements):
            if isinstance(s.value, BankAccount) and s.event_id in accounts:
                holder = holder_of(accounts[s.event_id].name_digest, person.memory.name_digest)
                statements[at] = msgspec.structs.replace(s, value=msgspec.structs.replace(s.value, holder=holder))
        person.statements = put_back(statements)


async def _open(tx: Tx, event_ids: Collection[str]) -> dict[str, Pushed]:
    return {i: open_kept(i, sealed) for i, sealed in (await store.load_sealed(tx.sql, event_ids)).items()}
