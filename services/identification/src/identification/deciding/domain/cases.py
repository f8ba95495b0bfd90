"""Decide a case: one person with new inputs or under new lists. This gives the row to store and the events to emit."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
from common.events import Entitlement, EntitlementsDecided, PersonFactsRecorded
from common.message import Message
from rules.deciding.lists import Lists

from identification.deciding.domain.adverse import Adverse, adverse_of
from identification.deciding.domain.decision import (
    changed_items,
    decide_person,
    is_urgent,
    same_content,
    traits_of_person,
)
from identification.deciding.domain.edges import (
    Edge,
    Spell,
    edges_of_change,
    edges_of_merge,
    emitted_through,
    next_edge,
    spells_of,
)
from identification.deciding.domain.person import Person, decision_of, inputs_of

_encode = msgspec.json.Encoder().encode


class Case(NamedTuple):
    """A person to decide.

    `person`: the row with its new inputs. `is_new`: the row is not stored yet. `facts`: the decoded facts of the row,
    if they are at hand. `cause`: the message with the new inputs. `joined`: by identity, the spells in force of
    identities that have just been merged into this person. `had`: the entitlements of these identities before.
    """

    person: Person
    is_new: bool = False
    facts: PersonFactsRecorded | None = None
    cause: Message[Any] | None = None
    correlation_id: str | None = None
    joined: Mapping[str, Sequence[Spell]] | None = None
    had: Sequence[Entitlement] = ()


class Decided(NamedTuple):
    """A decided case. `person`: the row to store. `event`: the new decision; None if the stored one is still right.

    `change`: JSON of the event with the changed items only. `adverse`: the adverse outcomes of the decision.
    """

    case: Case
    person: Person
    event: EntitlementsDecided | None = None
    urgent: bool = False
    edges: Sequence[Edge] = ()
    change: bytes = b""
    adverse: Sequence[Adverse] = ()


def decide_case(case: Case, lists: Lists, digest: str, today: date) -> Decided:
    """Decide one person by the lists. `digest` identifies the set of lists."""
    inputs = inputs_of(case.person, case.facts)
    if inputs is None:
        return Decided(case, case.person)
    before = decision_of(case.person)
    event, facts = decide_person(inputs, lists)
    person = case.person._replace(traits=traits_of_person(inputs, event, facts), policy_digest=digest)
    if before is not None and same_content(before, event):
        return Decided(case, person)
    return _new_decision(case, person, before, event, today)


def _new_decision(
    case: Case, person: Person, before: EntitlementsDecided | None, event: EntitlementsDecided, today: date
) -> Decided:
    """Return the decided case with a new decision (`event`), which differs from the stored one (`before`)."""
    old = before.entitlements if before else ()
    changed = changed_items(old, event.entitlements)
    event = msgspec.structs.replace(event, version=person.version + 1, changed=changed)
    spells = spells_of(event.entitlements)
    encoded = _encode(event)
    stored = person._replace(
        version=event.version,
        residence=event.residence,
        hukou=event.hukou,
        next_edge_on=next_edge(spells, today),
        merged_into=event.merged_into,
        decision=encoded,
    )
    adverse = _adverse(case, old, event) if event.merged_into is None else ()
    edges = _edges(case, spells_of(old), spells, event.merged_into, today)
    return Decided(case, stored, event, is_urgent(before, event), edges, _change(event, encoded), adverse)


def _adverse(case: Case, old: Sequence[Entitlement], event: EntitlementsDecided) -> list[Adverse]:
    """Return the adverse outcomes of a new decision. `old`: the entitlements before.

    The items of newly merged identities count as items of this person.
    """
    items = sorted({*event.changed, *(e.item for e in case.had)})
    return adverse_of([*old, *case.had], event.entitlements, items, event.died_on)


def _edges(
    case: Case, before: Sequence[Spell], now: Sequence[Spell], merged_into: str | None, today: date
) -> list[Edge]:
    """Return the edges to emit for a new decision. `before`, `now`: the spells of the old and the new decision."""
    emitted = emitted_through(case.person.next_edge_on, today)
    edges = edges_of_change(before, now, emitted, today)
    if merged_into is not None:
        return [edge._replace(alias=merged_into) for edge in edges]
    return edges_of_merge(edges, case.joined, now, today) if case.joined else edges


def _change(event: EntitlementsDecided, encoded: bytes) -> bytes:
    """Return JSON of the event with the changed items only. `encoded`: JSON of the whole event."""
    changed = tuple(e for e in event.entitlements if e.item in event.changed)
    if len(changed) == len(event.entitlements):
        return encoded
    return _encode(msgspec.structs.replace(event, entitlements=changed))
