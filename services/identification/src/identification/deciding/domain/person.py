"""Decode one person: the stored row, and the inputs that a decision reads."""

from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from common.events import AbilitiesDetermined, Ability, EntitlementsDecided, PersonFactsRecorded, decoder
from rules.deciding.choices import Choice
from rules.facts.doubt import Doubt, doubt_known_at
from rules.facts.identity import identity_known_at, statements_known_at
from rules.facts.timeline import Fact, abilities_known_at, facts_known_at

CHOICES_MAX: Final = 100
_decode_facts = decoder(PersonFactsRecorded).decode
_decode_abilities = decoder(AbilitiesDetermined).decode
_decode_decision = decoder(EntitlementsDecided).decode
_decode_choices = msgspec.json.Decoder(tuple[Choice, ...]).decode


class Person(NamedTuple):
    """A row of `persons` (see `PersonRow`)."""

    person_id: str
    version: int
    facts_version: int
    abilities_version: int
    recorded_at: datetime
    residence: str | None = None
    hukou: str | None = None
    traits: str | None = None
    next_edge_on: date | None = None
    policy_digest: str = ""
    facts: bytes | None = None
    abilities: bytes | None = None
    choices: bytes | None = None
    decision: bytes | None = None
    merged_into: str | None = None
    others: bytes | None = None


class Other(msgspec.Struct, frozen=True, gc=False):
    """Inputs stored under another identity of the same human. They also count for the surviving identity."""

    person_id: str
    abilities: AbilitiesDetermined | None = None
    choices: tuple[Choice, ...] = ()


_decode_others = msgspec.json.Decoder(tuple[Other, ...]).decode


class Known(NamedTuple):
    """The inputs known at an instant, in the form that the rules read."""

    facts: tuple[Fact, ...]
    abilities: tuple[Ability, ...]
    choices: list[Choice]


class Inputs(NamedTuple):
    """All inputs of a decision except the lists. In its methods, `known_at` None: from all stored inputs."""

    facts: PersonFactsRecorded
    abilities: AbilitiesDetermined | None = None
    choices: tuple[Choice, ...] = ()
    others: tuple[Other, ...] = ()

    def known_at(self, known_at: datetime | None) -> Known:
        """Return all inputs that the rules may read."""
        return Known(self.facts_known_at(known_at), self.abilities_known_at(known_at), self.choices_known_at(known_at))

    def facts_known_at(self, known_at: datetime | None) -> tuple[Fact, ...]:
        """Return the facts of the person and of its merged identities."""
        return facts_known_at(statements_known_at(self.facts, known_at), known_at)

    def abilities_known_at(self, known_at: datetime | None) -> tuple[Ability, ...]:
        """Return the ability results of the person and of its merged identities."""
        results = [self.abilities] if self.abilities else []
        results += [other.abilities for other in self._merged(known_at) if other.abilities]
        return tuple(ability for each in results for ability in abilities_known_at(each.abilities, known_at))

    def choices_known_at(self, known_at: datetime | None) -> list[Choice]:
        """Return the choices of the person and of its merged identities."""
        choices = [*self.choices, *(choice for other in self._merged(known_at) for choice in other.choices)]
        return [choice for choice in choices if known_at is None or choice.recorded_at <= known_at]

    def doubt_known_at(self, known_at: datetime | None) -> Doubt | None:
        """Return the waiting identity changes of this person; None: no such change. A change reported for a merged
        identity does not count."""
        return doubt_known_at((s for s in self.facts.statements if s.of is None), known_at)

    def recorded_at(self) -> datetime:
        """Return the instant at which the newest input was recorded."""
        newest = self.facts.recorded_at
        if self.abilities and self.abilities.recorded_at > newest:
            newest = self.abilities.recorded_at
        if not self.choices and not self.others:
            return newest
        instants = [newest, *(choice.recorded_at for choice in self.choices)]
        for other in self.others:
            instants += [choice.recorded_at for choice in other.choices]
            if other.abilities:
                instants.append(other.abilities.recorded_at)
        return max(instants)

    def _merged(self, known_at: datetime | None) -> list[Other]:
        aliases = identity_known_at(self.facts.identities, known_at).aliases if self.others else ()
        return [other for other in self.others if other.person_id in aliases]


def inputs_of(person: Person, facts: PersonFactsRecorded | None = None) -> Inputs | None:
    """Return the stored inputs of a person; None before the first facts. `facts`: the decoded facts, if at hand."""
    if facts is None and person.facts is not None:
        facts = _decode_facts(person.facts)
    if facts is None:
        return None
    others = _decode_others(person.others) if person.others is not None else ()
    return Inputs(facts, abilities_of(person), choices_of(person), others)


def abilities_of(person: Person) -> AbilitiesDetermined | None:
    return _decode_abilities(person.abilities) if person.abilities is not None else None


def choices_of(person: Person) -> tuple[Choice, ...]:
    return _decode_choices(person.choices) if person.choices is not None else ()


def decision_of(person: Person) -> EntitlementsDecided | None:
    return _decode_decision(person.decision) if person.decision is not None else None
