"""What is true of one person here: the stored decision, the next one, and which difference between them is news.

*Spells* are the periods in which an item is really given. They are what beginnings and ends are told of: an interval
that is suppressed, waits for a choice or lacks a fact gives nothing, and one that is merely held (a suspected death)
prolongs the spell before it, so that nobody is told of an end that may be revoked tomorrow.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
from common.events import AbilitiesDetermined, Ability, Entitlement, EntitlementsDecided, PersonFactsRecorded
from rules.deciding.choices import Choice
from rules.deciding.decide import decide
from rules.deciding.gaps import gaps_of_moves
from rules.deciding.lists import Lists
from rules.deciding.traits import traits_of
from rules.facts.doubt import Doubt, doubt_known_at, held_by_doubt
from rules.facts.identity import identity_known_at, statements_known_at
from rules.facts.timeline import FAR_FUTURE, Fact, abilities_known_at, facts_known_at
from rules.facts.visit_facts import circumstances_of

_DAY = timedelta(days=1)
CHOICES_MAX = 100


class Person(NamedTuple):
    """A row of `persons`, field by field (see `PersonRow`)."""

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
    """What is kept under another identity of the same human and decides for the survivor."""

    person_id: str
    abilities: AbilitiesDetermined | None = None
    choices: tuple[Choice, ...] = ()


class Inputs(NamedTuple):
    """What a decision rests on beside the lists."""

    facts: PersonFactsRecorded
    abilities: AbilitiesDetermined | None = None
    choices: tuple[Choice, ...] = ()
    others: tuple[Other, ...] = ()

    def known_at(self, known_at: datetime | None) -> tuple[tuple[Fact, ...], tuple[Ability, ...], list[Choice]]:
        """What decides, as known at an instant (None: now): nothing else may be handed to the rules."""
        return self.facts_known_at(known_at), self.abilities_known_at(known_at), self.choices_known_at(known_at)

    def facts_known_at(self, known_at: datetime | None) -> tuple[Fact, ...]:
        """With those said of identities that count."""
        return facts_known_at(statements_known_at(self.facts, known_at), known_at)

    def abilities_known_at(self, known_at: datetime | None) -> tuple[Ability, ...]:
        """With those determined under identities that count."""
        own = [self.abilities] if self.abilities else []
        every = own + [o.abilities for o in self._counting(known_at) if o.abilities]
        return tuple(a for each in every for a in abilities_known_at(each.abilities, known_at))

    def choices_known_at(self, known_at: datetime | None) -> list[Choice]:
        every = (*self.choices, *(c for o in self._counting(known_at) for c in o.choices))
        return [c for c in every if known_at is None or c.recorded_at <= known_at]

    def doubt_known_at(self, known_at: datetime | None) -> Doubt | None:
        """A change of this person's identity that waits. One stated about another identity holds nothing here."""
        return doubt_known_at((s for s in self.facts.statements if s.of is None), known_at)

    def _counting(self, known_at: datetime | None) -> list[Other]:
        aliases = identity_known_at(self.facts.identities, known_at).aliases if self.others else ()
        return [o for o in self.others if o.person_id in aliases]


class Spell(NamedTuple):
    """An item given over [`start`, `end`); `end` FAR_FUTURE: open. `facts`: event ids it rests on."""

    entitlement_id: str
    item: str
    jurisdiction: str
    start: date
    end: date
    facts: tuple[str, ...]


class Edge(NamedTuple):
    """A beginning or an end to be told. `on`: first day with, or first day without. `alias`: the other identity of the
    same human under which it goes on, or went on until now."""

    started: bool
    on: date
    spell: Spell
    alias: str | None = None


def decide_person(
    inputs: Inputs, lists: Lists, known_at: datetime | None = None
) -> tuple[EntitlementsDecided, tuple[Fact, ...]]:
    """The decision on what was known at an instant (None: everything), and the facts it read.

    Version 0 and nothing in `changed`: whether it is news is for the caller. Somebody merged into another person has
    no entitlements; the other one has them.
    """
    said, recorded_at = inputs.facts, _recorded_at(inputs)
    identity = identity_known_at(said.identities, known_at)
    facts, abilities, choices = inputs.known_at(known_at)
    decided = decide(said.person_id, facts, abilities, lists, choices=choices)
    kept = () if identity.merged_into or not facts else decided.entitlements
    held = held_by_doubt(kept, inputs.doubt_known_at(known_at))
    event = EntitlementsDecided(
        person_id=said.person_id,
        version=0,
        facts_version=said.version,
        recorded_at=recorded_at if known_at is None else min(known_at, recorded_at),
        entitlements=held,
        birth_date=decided.birth_date,
        residence=decided.residence,
        hukou=decided.hukou,
        died_on=decided.died_on,
        death_suspected_on=decided.death_suspected_on,
        aliases=identity.aliases,
        merged_into=identity.merged_into,
        circumstances=circumstances_of(facts, said.statements),
        gaps=gaps_of_moves(facts, held, decided.died_on),
    )
    return event, facts


def _recorded_at(inputs: Inputs) -> datetime:
    """When the newest input was learnt."""
    newest = inputs.facts.recorded_at
    if inputs.abilities and inputs.abilities.recorded_at > newest:
        newest = inputs.abilities.recorded_at
    if not inputs.choices and not inputs.others:
        return newest
    determined = [o.abilities.recorded_at for o in inputs.others if o.abilities]
    chosen = [c.recorded_at for choices in (inputs.choices, *(o.choices for o in inputs.others)) for c in choices]
    return max([newest, *determined, *chosen])


def same_content(a: EntitlementsDecided, b: EntitlementsDecided) -> bool:
    """Whether two decisions say the same of the person, whatever made them."""
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
    """News of a death, of a suspicion, or of either being withdrawn."""
    was = (before.died_on, before.death_suspected_on) if before else (None, None)
    return was != (now.died_on, now.death_suspected_on)


def changed_items(before: Sequence[Entitlement], now: Sequence[Entitlement]) -> tuple[str, ...]:
    """Items with an interval that differs in anything, the statements it rests on included."""
    gone = {e.entitlement_id: e for e in before}  # ids name item and first day, so they are unique in a timeline
    changed = {e.item for e in now if gone.pop(e.entitlement_id, None) != e}
    return tuple(sorted(changed.union(e.item for e in gone.values())))


def traits_of_person(inputs: Inputs, event: EntitlementsDecided, facts: Iterable[Fact]) -> str | None:
    """`rules.deciding.traits` of somebody decided upon; None where no list has anything to decide."""
    if event.merged_into is not None or not inputs.facts.statements:
        return None
    return traits_of(facts, inputs.abilities_known_at(None), event.died_on)


def spells_of(entitlements: Iterable[Entitlement]) -> list[Spell]:
    """The entitlements must be in the order of item and period."""
    spells: list[Spell] = []
    for e in entitlements:
        end = e.to or FAR_FUTURE
        if e.state == "granted":
            spells.append(Spell(e.entitlement_id, e.item, e.jurisdiction, e.from_, end, e.facts))
        elif e.state == "suspended" and spells:
            last = spells[-1]
            if (last.item, last.jurisdiction, last.end) == (e.item, e.jurisdiction, e.from_):
                spells[-1] = last._replace(end=end)
    return spells


def told_through(next_edge_on: date | None, today: date) -> date:
    """The last day whose beginnings and ends have been told of a person."""
    return today if next_edge_on is None or next_edge_on > today else next_edge_on - _DAY


def next_edge(spells: Iterable[Spell], after: date) -> date | None:
    """The first day after `after` on which a spell begins or ends."""
    days = [d for s in spells for d in (s.start, s.end) if after < d < FAR_FUTURE]
    return min(days, default=None)


def edges_on(spells: Iterable[Spell], day: date) -> list[Edge]:
    """What the calendar alone brings about on a day: ends before beginnings."""
    spells = list(spells)
    return [Edge(False, day, s) for s in spells if s.end == day] + [
        Edge(True, day, s) for s in spells if s.start == day
    ]


def edges_of_change(before: Sequence[Spell], now: Sequence[Spell], told: date, today: date) -> list[Edge]:
    """What a new decision has to tell at once. All edges up to `told` (≤ today) of `before` have been told.

    - A spell in force today that was not told to have begun has begun (also one that was told to have ended).
    - One that was told to have begun, is not told to have ended, and is over by today or has vanished, has ended;
      a vanished one on the day it began: it never was.
    - A spell wholly before today that is new tells nothing: it is the past that is now known better. Only days that
      were not told yet (the system was down) bring both its edges.
    - Whatever begins or ends after today is told on its day.
    """
    begun = {s.entitlement_id: s for s in before if s.start <= told}
    edges: list[Edge] = []
    for s in now:
        was = begun.pop(s.entitlement_id, None)
        if s.start > today:
            continue
        if was is not None and was.end > told:  # told to be in force
            if s.end <= today:
                edges.append(Edge(False, s.end, s))
        elif s.end > today or (was is None and s.start > told):
            edges.append(Edge(True, s.start, s))
            if s.end <= today:
                edges.append(Edge(False, s.end, s))
    edges += [Edge(False, s.start, s) for s in begun.values() if s.end > told]
    edges.sort(key=lambda edge: edge.on)
    return edges


def edges_of_merge(
    edges: Sequence[Edge], joined: Mapping[str, Sequence[Spell]], now: Sequence[Spell], today: date
) -> list[Edge]:
    """What a survivor has to tell, given by identity what those who have just joined it were told to have: that goes on
    and does not begin; what they had and the survivor has not is over for the human."""
    had = {(s.item, s.jurisdiction): alias for alias, spells in joined.items() for s in spells}
    has = {(s.item, s.jurisdiction) for s in now if s.start <= today < s.end}
    told = [
        e._replace(alias=had.get((e.spell.item, e.spell.jurisdiction))) if e.started and e.spell.end > today else e
        for e in edges
    ]
    lost = [s for spells in joined.values() for s in spells if (s.item, s.jurisdiction) not in has]
    return [*told, *(Edge(False, today, s) for s in lost)]
