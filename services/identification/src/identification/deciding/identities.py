"""One human under several identities: what is kept under each of them decides for the one that survives."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from common.events.facts import Identity
from common.message import Message
from rules.deciding.lists import Lists

from identification.deciding.decisions import Case, abilities_of, choices_of, decision_of, inputs_of
from identification.deciding.domain.decision import Other, Person, Spell, decide_person, spells_of

_MOMENT: Final = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def others_of(identities: Iterable[Identity]) -> list[str]:
    """Everybody who ever counted as this person, or as whom this person ever counted."""
    return sorted({o for i in identities for o in (*i.aliases, i.merged_into) if o is not None})


def unite(
    cases: Sequence[Case],
    known: Mapping[str, Person],
    causes: Mapping[str, Message[Any]],
    lists: Lists,
    today: date,
) -> list[Case]:
    """The cases with what their people's other identities keep, and those of survivors whom the news concern too.

    `known`: rows of all identities concerned, locked, as they are stored. `causes`: by person the news that concern
    somebody who is not in `cases`.
    """
    rows = dict(known) | {case.person.person_id: case.person for case in cases}
    there = {case.person.person_id for case in cases}
    every = [*cases, *(Case(known[p], cause=message) for p, message in causes.items() if p not in there)]
    found = [_united(case, rows, known, lists, today) for case in every]
    return [c for c, before in zip(found, every, strict=True) if c is not before or c.person.person_id in there]


def _united(case: Case, rows: Mapping[str, Person], known: Mapping[str, Person], lists: Lists, today: date) -> Case:
    inputs = inputs_of(case.person, case.facts)
    if inputs is None or not inputs.facts.identities:
        return case
    kept = [_kept(rows[a]) for a in sorted({a for i in inputs.facts.identities for a in i.aliases}) if a in rows]
    kept = [o for o in kept if o.abilities or o.choices]
    others = _encode(kept) if kept else None
    if others != case.person.others:
        case = case._replace(person=case.person._replace(others=others))
    now, before = inputs.facts.identities[-1], decision_of(case.person)
    fresh = [a for a in now.aliases if a in known and a not in (before.aliases if before else ())]
    joined = {a: _had(known[a], now.recorded_at, lists, today) for a in fresh}
    return case._replace(joined=joined) if any(joined.values()) else case


def _had(person: Person, merged_at: datetime, lists: Lists, today: date) -> list[Spell]:
    """What somebody was told to have before a merge."""
    inputs, decision = inputs_of(person), decision_of(person)
    if inputs is None or decision is None or (decision.merged_into is not None and person.version < 2):
        return []
    alone, _ = decide_person(inputs, lists, merged_at - _MOMENT)
    return [s for s in spells_of(alone.entitlements) if s.start <= today < s.end]


def _kept(person: Person) -> Other:
    return Other(person.person_id, abilities_of(person), choices_of(person))
