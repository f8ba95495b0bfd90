"""Make the decision about one person, and compare it with the stored one."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

from common.events import Entitlement, EntitlementsDecided
from rules.deciding.decide import decide
from rules.deciding.gaps import gaps_of_moves
from rules.deciding.lists import Lists
from rules.deciding.traits import traits_of
from rules.facts.doubt import held_by_doubt
from rules.facts.identity import identity_known_at
from rules.facts.timeline import Fact
from rules.facts.visit_facts import circumstances_of
from rules.proof.edits import Edit

from identification.deciding.domain.person import Inputs, Person, decision_of, inputs_of


class PersonDecision(NamedTuple):
    """A decision with the facts that it read."""

    event: EntitlementsDecided
    facts: tuple[Fact, ...]


def decide_person(inputs: Inputs, lists: Lists, known_at: datetime | None = None) -> PersonDecision:
    """Decide one person from the inputs known at an instant (None: from all).

    The event has version 0 and an empty `changed`; the caller sets both if the decision is new. A person who is merged
    into another one has no entitlements. The surviving person has them.
    """
    recorded, recorded_at = inputs.facts, inputs.recorded_at()
    identity = identity_known_at(recorded.identities, known_at)
    facts, abilities, choices = inputs.known_at(known_at)
    decided = decide(recorded.person_id, facts, abilities, lists, choices=choices)
    own = () if identity.merged_into or not facts else decided.entitlements
    entitlements = held_by_doubt(own, inputs.doubt_known_at(known_at))
    event = EntitlementsDecided(
        person_id=recorded.person_id,
        version=0,
        facts_version=recorded.version,
        recorded_at=recorded_at if known_at is None else min(known_at, recorded_at),
        entitlements=entitlements,
        birth_date=decided.birth_date,
        residence=decided.residence,
        hukou=decided.hukou,
        died_on=decided.died_on,
        death_suspected_on=decided.death_suspected_on,
        aliases=identity.aliases,
        merged_into=identity.merged_into,
        circumstances=circumstances_of(facts, recorded.statements),
        gaps=gaps_of_moves(facts, entitlements, decided.died_on),
    )
    return PersonDecision(event, facts)


def same_content(a: EntitlementsDecided, b: EntitlementsDecided) -> bool:
    """Whether two decisions are equal except for versions, times and causes."""
    return (
        a.entitlements == b.entitlements
        and a.died_on == b.died_on
        and a.death_suspected_on == b.death_suspected_on
        and a.residence == b.residence
        and a.hukou == b.hukou
        and a.birth_date == b.birth_date
        and a.merged_into == b.merged_into
        and a.aliases == b.aliases
        and a.circumstances == b.circumstances
        and a.gaps == b.gaps
    )


def is_urgent(before: EntitlementsDecided | None, now: EntitlementsDecided) -> bool:
    """Whether a death or a suspicion of death was reported or withdrawn."""
    was = (before.died_on, before.death_suspected_on) if before else (None, None)
    return was != (now.died_on, now.death_suspected_on)


def changed_items(before: Sequence[Entitlement], now: Sequence[Entitlement]) -> tuple[str, ...]:
    """Return the items with an interval that differs in any field, including its facts; sorted."""
    gone = {e.entitlement_id: e for e in before}  # an id names item and first day, so it is unique in a timeline
    changed = {e.item for e in now if gone.pop(e.entitlement_id, None) != e}
    return tuple(sorted(changed.union(e.item for e in gone.values())))


def is_on(e: Entitlement, day: date) -> bool:
    """Whether the interval contains the day."""
    return e.from_ <= day and (e.to is None or day < e.to)


def traits_of_person(inputs: Inputs, event: EntitlementsDecided, facts: Iterable[Fact]) -> str | None:
    """Return the traits of a decided person (`rules.deciding.traits`); None if no list can decide anything."""
    if event.merged_into is not None or not inputs.facts.statements:
        return None
    return traits_of(facts, inputs.abilities_known_at(None), event.died_on)


def keeps_decision(person: Person, edit: Edit) -> bool:
    """Whether an edit of the lists certainly leaves the stored decision of a person with unchanged inputs as it is."""
    inputs, before = inputs_of(person), decision_of(person)
    if inputs is None or before is None or inputs.facts.merged_into is not None:
        return False
    facts, abilities, choices = inputs.known_at(None)
    return edit.keeps(person.person_id, before.entitlements, facts, abilities, choices)
