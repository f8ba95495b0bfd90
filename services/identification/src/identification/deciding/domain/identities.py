"""Join the inputs of merged identities: those stored under each identity of a human decide for the surviving person."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from common.events import Entitlement
from common.events.facts import Identity
from common.message import Message
from rules.deciding.lists import Lists

from identification.deciding.domain.cases import Case
from identification.deciding.domain.decision import decide_person
from identification.deciding.domain.edges import Spell, spells_of
from identification.deciding.domain.person import Other, Person, abilities_of, choices_of, decision_of, inputs_of

_MOMENT: Final = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def other_identities(identities: Iterable[Identity]) -> list[str]:
    """Return the ids of all persons that were ever merged with this one, in either direction; sorted."""
    found: set[str] = set()
    for identity in identities:
        found.update(identity.aliases)
        if identity.merged_into is not None:
            found.add(identity.merged_into)
    return sorted(found)


def merge_cases(
    cases: Sequence[Case],
    stored: Mapping[str, Person],
    causes: Mapping[str, Message[Any]],
    lists: Lists,
    today: date,
) -> list[Case]:
    """Return the cases with the inputs of merged identities, and further cases of survivors whose inputs change.

    `stored`: the locked rows of all identities concerned. `causes`: by person, the message that may change a person
    outside `cases`.
    """
    own = {case.person.person_id: case.person for case in cases}
    rows = {**stored, **own}
    related = [Case(stored[p], cause=message) for p, message in causes.items() if p not in own]
    found: list[Case] = []
    for case in (*cases, *related):
        merged = _merge(case, rows, stored, lists, today)
        if merged is not case or case.person.person_id in own:
            found.append(merged)
    return found


def _merge(case: Case, rows: Mapping[str, Person], stored: Mapping[str, Person], lists: Lists, today: date) -> Case:
    """Return the case with the inputs and spells of its merged identities; the case itself if nothing changes.

    `rows`: people with their new inputs. `stored`: people as stored.
    """
    inputs = inputs_of(case.person, case.facts)
    if inputs is None or not inputs.facts.identities:
        return case
    others = _others(inputs.facts.identities, rows)
    if others != case.person.others:
        case = case._replace(person=_with_others(case.person, others))
    before = _before_merge(case.person, inputs.facts.identities[-1], stored, lists)
    if not before:
        return case
    joined = {alias: _in_force(entitlements, today) for alias, entitlements in before.items()}
    return case._replace(joined=joined, had=[e for entitlements in before.values() for e in entitlements])


def _with_others(person: Person, others: bytes | None) -> Person:
    """Return the person with other inputs of merged identities. The newest of them may be the newest input of all."""
    person = person._replace(others=others)
    inputs = inputs_of(person)
    return person._replace(recorded_at=max(person.recorded_at, inputs.recorded_at())) if inputs else person


def _before_merge(
    person: Person, identity: Identity, stored: Mapping[str, Person], lists: Lists
) -> dict[str, tuple[Entitlement, ...]]:
    """Return by alias the entitlements before the merge.

    Left out are aliases that the stored decision of the person already names, and aliases without entitlements.
    """
    before = decision_of(person)
    known_aliases = before.aliases if before else ()
    found: dict[str, tuple[Entitlement, ...]] = {}
    for alias in identity.aliases:
        if alias in stored and alias not in known_aliases:
            found[alias] = _entitlements_alone(stored[alias], identity.recorded_at, lists)
    return {alias: entitlements for alias, entitlements in found.items() if entitlements}


def _others(identities: Iterable[Identity], rows: Mapping[str, Person]) -> bytes | None:
    """Return JSON of the ability results and choices stored under the aliases, also of former ones; None: none."""
    aliases = sorted({alias for identity in identities for alias in identity.aliases})
    others = [_other(rows[alias]) for alias in aliases if alias in rows]
    found = [other for other in others if other.abilities or other.choices]
    return _encode(found) if found else None


def _other(person: Person) -> Other:
    return Other(person.person_id, abilities_of(person), choices_of(person))


def _entitlements_alone(person: Person, merged_at: datetime, lists: Lists) -> tuple[Entitlement, ...]:
    """Return the entitlements that a person had alone, as known before the merge; none if no decision gave them."""
    inputs, decision = inputs_of(person), decision_of(person)
    if inputs is None or decision is None or (decision.merged_into is not None and person.version < 2):
        return ()
    alone, _ = decide_person(inputs, lists, merged_at - _MOMENT)
    return alone.entitlements


def _in_force(entitlements: Sequence[Entitlement], today: date) -> list[Spell]:
    """Return the spells in force today. Their starts were emitted for the merged identity, unless the daily job is
    behind."""
    return [spell for spell in spells_of(entitlements) if spell.start <= today < spell.end]
