"""Handlers of new facts and new ability results: decide the persons of each batch."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from common.events import AbilitiesDetermined, PersonFactsRecorded
from common.message import Message
from shell import clock
from shell.store.transaction import Tx

from identification.deciding.decisions import decide_and_save
from identification.deciding.domain.cases import Case
from identification.deciding.domain.identities import merge_cases, other_identities
from identification.deciding.domain.person import Person
from identification.deciding.store import people as store
from identification.lists.domain.content import ListSet
from identification.lists.in_force import share_set_in_force

E = TypeVar("E", PersonFactsRecorded, AbilitiesDetermined)
_encode = msgspec.json.Encoder().encode


async def on_person_facts_recorded(messages: Sequence[Message[PersonFactsRecorded]], tx: Tx) -> None:
    others = {m.data.person_id: set(other_identities(m.data.identities)) for m in messages if m.data.identities}
    await _decide(messages, tx, _with_facts, others, replaces_facts=True)


async def on_abilities_determined(messages: Sequence[Message[AbilitiesDetermined]], tx: Tx) -> None:
    survivors = await store.load_survivors(tx, [m.data.person_id for m in messages])
    others = {person_id: {survivor} for person_id, survivor in survivors.items()}
    await _decide(messages, tx, _with_abilities, others, replaces_facts=False)


async def _decide(
    messages: Sequence[Message[E]],
    tx: Tx,
    to_case: Callable[[Message[E], Person | None], Case | None],
    others: Mapping[str, set[str]],
    *,
    replaces_facts: bool,
) -> None:
    """Decide the persons of a batch and save the decisions.

    `to_case`: makes a case from a message and the stored person, or None if the message brings nothing new. `others`:
    by person, the other identities that the message may concern. `replaces_facts`: the messages contain new facts.
    If another batch stores a new person at the same time, the loop decides this person a second time. If another batch
    merges a person at the same time, the loop locks the survivor, too.
    """
    list_set = await share_set_in_force(tx)
    waiting: dict[str, Message[E]] = {message.data.person_id: message for message in messages}
    while waiting:
        related: dict[str, Message[E]] = _related(waiting, others)
        person_ids = [*waiting, *(related.keys() - waiting.keys())]
        stored = await store.lock_people(tx, person_ids, without_facts=replaces_facts and not others)
        if merged := _just_merged([stored[p] for p in waiting if p in stored], person_ids, others):
            others = {**others, **merged}
            continue
        cases = _cases(waiting, stored, to_case)
        if others:
            cases = _with_merges(cases, stored, related, list_set)
        saved = await decide_and_save(tx, cases, list_set)
        waiting = {d.person.person_id: waiting[d.person.person_id] for d in saved.conflicts}


def _with_merges(
    cases: list[Case], stored: Mapping[str, Person], related: Mapping[str, Message[E]], list_set: ListSet
) -> list[Case]:
    """The cases, with those of the other identities that the messages concern. `related`: message by other identity."""
    causes = {person_id: message for person_id, message in related.items() if person_id in stored}
    return merge_cases(cases, stored, causes, list_set.lists, clock.today())


def _just_merged(
    people: Iterable[Person], locked: Collection[str], others: Mapping[str, set[str]]
) -> dict[str, set[str]]:
    """Return the other identities of those people whose survivor is not locked yet, with the survivor."""
    return {
        p.person_id: {p.merged_into, *others.get(p.person_id, ())}
        for p in people
        if p.merged_into is not None and p.merged_into not in locked
    }


def _related(waiting: Mapping[str, Message[E]], others: Mapping[str, set[str]]) -> dict[str, Message[E]]:
    """Return by other identity the message that may concern it."""
    found: dict[str, Message[E]] = {}
    if others:
        for person_id, message in waiting.items():
            found.update(dict.fromkeys(others.get(person_id, ()), message))
    return found


def _cases(
    waiting: Mapping[str, Message[E]],
    stored: Mapping[str, Person],
    to_case: Callable[[Message[E], Person | None], Case | None],
) -> list[Case]:
    cases = (to_case(message, stored.get(person_id)) for person_id, message in waiting.items())
    return [case for case in cases if case]


def _with_facts(message: Message[PersonFactsRecorded], stored: Person | None) -> Case | None:
    """Return the case of a person with new facts; None if the stored facts are at least as new."""
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
    """Return the case of a person with new ability results; None if the stored results are at least as new.

    Results before the first facts are stored, but decide nothing.
    """
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
    """Return the received bytes of a message. To encode it again would cost as much as to decide a simple case."""
    record = message.record
    return record.value if record is not None and record.value is not None else _encode(message.data)
