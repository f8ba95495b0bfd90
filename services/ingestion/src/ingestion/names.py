"""Which name counts for a person, and under whose name the accounts of the person stand."""

import msgspec
from common.events.facts import BankAccount
from common.privacy import vault
from common.transaction import Tx

from ingestion.batch import Work, open_kept
from ingestion.domain.person import Person, put_back, remember_name, statements_of
from ingestion.domain.saying import holder_of
from ingestion.store import statements as store


async def settle_names(tx: Tx, work: Work) -> None:
    """Seal the name that counts now of persons whose registrations count otherwise; compare holders with new names."""
    for person_id in sorted(work.renamed):
        await _rename(tx, work, work.persons[person_id])
    for person_id in sorted({p for p, _ in work.names} | work.renamed):
        if b'"bank_account"' in work.persons[person_id].statements:
            await _compare_holders(tx, work.persons[person_id])


async def _rename(tx: Tx, work: Work, person: Person) -> None:
    said = [
        s.event_id
        for s in statements_of(person.statements)
        if s.kind == "registration" and s.value is not None and s.standing_at() == "full"
    ]
    opened = [open_kept(i, sealed) for i, sealed in (await store.load_sealed(tx.sql, said)).items()]
    opened += [e for e in work.new.values() if e.event_id in said and e.event_id not in {o.event_id for o in opened}]
    named = [e for e in opened if e.name is not None]
    if not named:
        return
    person.memory.name_digest, person.memory.name_at = b"", 0.0
    newest = max(named, key=lambda e: (e.time, e.name_digest))
    remember_name(person, newest.time, newest.name_digest)
    assert newest.name is not None
    sealed = vault().seal(newest.name.encode(), f"{person.person_id}/name".encode())
    await store.upsert_vault(tx, [(person.person_id, "name", sealed)])


async def _compare_holders(tx: Tx, person: Person) -> None:
    """The comparison is no statement of a source: it follows the newest name, at once and for all of the accounts."""
    statements = list(statements_of(person.statements))
    wanted = {s.event_id for s in statements if isinstance(s.value, BankAccount)}
    holders = {i: open_kept(i, sealed).name_digest for i, sealed in (await store.load_sealed(tx.sql, wanted)).items()}
    for at, said in enumerate(statements):
        if isinstance(said.value, BankAccount) and said.event_id in holders:
            holder = holder_of(holders[said.event_id], person.memory.name_digest)
            statements[at] = msgspec.structs.replace(said, value=msgspec.structs.replace(said.value, holder=holder))
    person.statements = put_back(statements)
