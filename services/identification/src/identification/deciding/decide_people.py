"""The heart: what became known of people becomes what they are entitled to. Load → decide → save → tell, per batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from common.events import AbilitiesDetermined, PersonFactsRecorded
from common.message import Message
from shell import clock
from shell.store.transaction import Tx

from identification.deciding.decisions import Case, settle
from identification.deciding.domain.decision import Person
from identification.deciding.identities import others_of, unite
from identification.deciding.store import people as store
from identification.lists.in_force import running_for

E = TypeVar("E", PersonFactsRecorded, AbilitiesDetermined)
_encode = msgspec.json.Encoder().encode


async def on_person_facts_recorded(messages: Sequence[Message[PersonFactsRecorded]], tx: Tx) -> None:
    others = {m.data.person_id: set(others_of(m.data.identities)) for m in messages if m.data.identities}
    await _decide(messages, tx, _with_facts, others, without_facts=True)


async def on_abilities_determined(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
    merged = await store.load_survivors(tx, [m.data.person_id for m in messages])
    others = {person_id: {survivor} for person_id, survivor in merged.items()}
    await _decide(messages, tx, _with_abilities, others, without_facts=False)


async def _decide(
    messages: Sequence[Message[E]],
    tx: Tx,
    take: Callable[[Message[E], Person | None], Case | None],
    others: Mapping[str, set[str]],
    *,
    without_facts: bool,
) -> None:
    """Once, and once more for people whom another batch has stored for the first time meanwhile. `others`: by person
    the other identities that its news may concern."""
    running = await running_for(tx)
    waiting: dict[str, Message[E]] = {message.data.person_id: message for message in messages}
    while waiting:
        beside: set[str] = {other for person_id in waiting for other in others.get(person_id, ())} - waiting.keys()
        stored = await store.lock_people(tx, [*waiting, *beside], without_facts=without_facts and not others)
        taken = (take(message, stored.get(person_id)) for person_id, message in waiting.items())
        cases = [case for case in taken if case]
        if others:
            causes = {o: waiting[p] for p in waiting for o in others.get(p, ()) if o in stored}
            cases = unite(cases, stored, causes, running.lists, clock.today())
        _, lost = await settle(tx, cases, running)
        waiting = {d.person.person_id: waiting[d.person.person_id] for d in lost}


def _with_facts(message: Message[PersonFactsRecorded], stored: Person | None) -> Case | None:
    """None for what is not newer than what is stored."""
    facts = message.data
    if stored is None:
        fresh = Person(facts.person_id, 0, facts.version, 0, facts.recorded_at, facts=_raw(message))
        return Case(fresh, True, facts, message)
    if facts.version <= stored.facts_version:
        return None
    recorded_at = max(facts.recorded_at, stored.recorded_at)
    person = stored._replace(facts_version=facts.version, recorded_at=recorded_at, facts=_raw(message))
    return Case(person, False, facts, message)


def _with_abilities(message: Message[AbilitiesDetermined], stored: Person | None) -> Case | None:
    """Results may come before the facts: they are kept, and decide nothing until then."""
    abilities = message.data
    if stored is None:
        fresh = Person(abilities.person_id, 0, 0, abilities.version, abilities.recorded_at, abilities=_raw(message))
        return Case(fresh, True, cause=message)
    if abilities.version <= stored.abilities_version:
        return None
    recorded_at = max(abilities.recorded_at, stored.recorded_at)
    person = stored._replace(abilities_version=abilities.version, recorded_at=recorded_at, abilities=_raw(message))
    return Case(person, cause=message)


def _raw(message: Message[Any]) -> bytes:
    """The input as it came: encoding it again would cost as much as deciding a simple case."""
    record = message.record
    return record.value if record is not None and record.value is not None else _encode(message.data)
