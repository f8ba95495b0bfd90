"""From new inputs to rows and news, for a whole batch: shared by everything that makes a person be decided again."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from common.events import (
    AbilitiesDetermined,
    EntitlementEnded,
    EntitlementsDecided,
    EntitlementStarted,
    PersonFactsRecorded,
    decoder,
)
from common.message import Message
from rules.deciding.choices import Choice
from rules.proof.edits import Edit
from shell import clock
from shell.store.transaction import Tx, origin_of

from identification.deciding.domain.adverse import Adverse, adverse_of
from identification.deciding.domain.decision import (
    Edge,
    Inputs,
    Other,
    Person,
    Spell,
    changed_items,
    decide_person,
    edges_of_change,
    edges_of_merge,
    is_urgent,
    next_edge,
    same_content,
    spells_of,
    told_through,
    traits_of_person,
)
from identification.deciding.store import adverse as adverse_store
from identification.deciding.store import people as store
from identification.lists.in_force import Running

PAUSE_EVERY: Final = 100  # some 10 ms
_encode = msgspec.json.Encoder().encode
_decode_facts = decoder(PersonFactsRecorded).decode
_decode_abilities = decoder(AbilitiesDetermined).decode
_decode_decision = decoder(EntitlementsDecided).decode
_decode_others = msgspec.json.Decoder(tuple[Other, ...]).decode
_decode_choices = msgspec.json.Decoder(tuple[Choice, ...]).decode


class Case(NamedTuple):
    """Somebody to decide: the row with its new inputs, and why. `facts`: those inputs where they are at hand
    decoded. `is_new`: the row is not stored yet. `joined`: what those who have just turned out to be the same human
    have, by identity."""

    person: Person
    is_new: bool = False
    facts: PersonFactsRecorded | None = None
    cause: Message[Any] | None = None
    correlation_id: str | None = None
    joined: Mapping[str, Sequence[Spell]] = MappingProxyType({})


class Decided(NamedTuple):
    """What comes of a case: the row to store, and the decision where it is news, with its encoded form and with what
    it withholds."""

    case: Case
    person: Person
    event: EntitlementsDecided | None = None
    urgent: bool = False
    edges: Sequence[Edge] = ()
    said: bytes = b""
    adverse: Sequence[Adverse] = ()


def inputs_of(person: Person, facts: PersonFactsRecorded | None = None) -> Inputs | None:
    """The stored inputs; None while the facts have not arrived."""
    if facts is None and person.facts is not None:
        facts = _decode_facts(person.facts)
    if facts is None:
        return None
    return Inputs(
        facts,
        abilities_of(person),
        choices_of(person),
        _decode_others(person.others) if person.others is not None else (),
    )


def abilities_of(person: Person) -> AbilitiesDetermined | None:
    return _decode_abilities(person.abilities) if person.abilities is not None else None


def choices_of(person: Person) -> tuple[Choice, ...]:
    return _decode_choices(person.choices) if person.choices is not None else ()


def decision_of(person: Person) -> EntitlementsDecided | None:
    return _decode_decision(person.decision) if person.decision is not None else None


def keeps_decision(person: Person, edit: Edit) -> bool:
    """Pure: whether somebody with a decision keeps it under new lists; the inputs are as they were."""
    inputs, before = inputs_of(person), decision_of(person)
    if inputs is None or before is None or inputs.facts.merged_into is not None:
        return False
    facts, abilities, choices = inputs.known_at(None)
    return edit.keeps(person.person_id, before.entitlements, facts, abilities, choices)


def decide_case(case: Case, running: Running, today: date) -> Decided:
    """Pure: what the new inputs, or new lists, mean for one person."""
    person = case.person
    inputs = inputs_of(person, case.facts)
    if inputs is None:
        return Decided(case, person)
    before = decision_of(person)
    event, facts = decide_person(inputs, running.lists)
    traits = traits_of_person(inputs, event, facts)
    if before is not None and same_content(before, event):
        return Decided(case, person._replace(traits=traits, policy_digest=running.digest))
    old = before.entitlements if before else ()
    changed = changed_items(old, event.entitlements)
    event = msgspec.structs.replace(event, version=person.version + 1, changed=changed)
    spells = spells_of(event.entitlements)
    told = told_through(person.next_edge_on, today)
    edges = edges_of_change(spells_of(old), spells, told, today)
    if event.merged_into is not None:
        edges = [edge._replace(alias=event.merged_into) for edge in edges]
    elif case.joined:
        edges = edges_of_merge(edges, case.joined, spells, today)
    encoded = _encode(event)
    anew = tuple(e for e in event.entitlements if e.item in changed)
    said = (
        encoded if len(anew) == len(event.entitlements) else _encode(msgspec.structs.replace(event, entitlements=anew))
    )
    stored = person._replace(
        version=event.version,
        residence=event.residence,
        hukou=event.hukou,
        traits=traits,
        next_edge_on=next_edge(spells, today),
        merged_into=event.merged_into,
        policy_digest=running.digest,
        decision=encoded,
    )
    adverse = adverse_of(old, event.entitlements, changed, event.died_on) if event.merged_into is None else ()
    return Decided(case, stored, event, is_urgent(before, event), edges, said, adverse)


async def decide_cases(cases: Sequence[Case], running: Running) -> list[Decided]:
    """`decide_case` for many, with pauses: the relay and the callers share this process."""
    today = clock.today()
    decided: list[Decided] = []
    for n, case in enumerate(cases, 1):
        decided.append(decide_case(case, running, today))
        if n % PAUSE_EVERY == 0:
            await asyncio.sleep(0)
    return decided


async def settle(tx: Tx, cases: Sequence[Case], running: Running) -> tuple[list[Decided], list[Decided]]:
    """Decide, save, emit. Returns what was stored, and what was not because somebody else has stored that person
    since `cases` were loaded (new people only: those who are stored are locked)."""
    decided = await decide_cases(cases, running)
    fresh = [d for d in decided if d.case.is_new]
    lost: list[Decided] = []
    if fresh:
        inserted = await store.insert_people(tx, [d.person for d in fresh])
        lost = [d for d in fresh if d.person.person_id not in inserted]
        if lost:
            gone = {d.person.person_id for d in lost}
            decided = [d for d in decided if d.person.person_id not in gone]
    await store.update_inputs(tx, [d.person for d in decided if not d.event and not d.case.is_new])
    await save_decided(tx, [d for d in decided if d.event])
    return decided, lost


async def save_decided(tx: Tx, news: Sequence[Decided]) -> None:
    """Store and tell decisions of people that are locked, or have just been inserted."""
    now = clock.now()
    await store.update_decided(tx, [d.person for d in news if not d.case.is_new])
    await store.append_decisions(tx, [_history(d, now) for d in news])
    owed = [(d.person.person_id, d.person.version, _encode(d.adverse)) for d in news if d.adverse]
    await adverse_store.owe_reasons(tx, owed)
    for d in news:
        _emit(tx, d)


def _history(d: Decided, now: datetime) -> tuple[Any, ...]:
    p = d.person
    assert d.event is not None
    return (
        p.person_id,
        p.version,
        now,
        d.event.recorded_at,
        p.facts_version,
        p.abilities_version,
        p.policy_digest,
        d.said,
    )


def _emit(tx: Tx, d: Decided) -> None:
    assert d.event is not None
    origin = origin_of(d.case.cause)
    if d.case.correlation_id is not None:
        origin = msgspec.structs.replace(origin, correlation_id=d.case.correlation_id)
    division = d.event.residence or d.event.hukou
    tx.emit_stored(d.event, origin, division=division, urgent=d.urgent)  # the JSON is `persons.decision`
    for event in edge_events(d.person.person_id, d.edges):
        tx.emit(event, origin, division=division)


def edge_events(person_id: str, edges: Iterable[Edge]) -> list[EntitlementStarted | EntitlementEnded]:
    found: list[EntitlementStarted | EntitlementEnded] = []
    for started, on, spell, alias in edges:
        cls: Callable[..., EntitlementStarted | EntitlementEnded]
        cls = EntitlementStarted if started else EntitlementEnded
        found.append(
            cls(
                person_id=person_id,
                entitlement_id=spell.entitlement_id,
                item=spell.item,
                jurisdiction=spell.jurisdiction,
                on=on,
                alias=alias,
            )
        )
    return found
