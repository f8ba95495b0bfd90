"""Compare two sets of lists person by person: the lists in force, and these lists with one area's list exchanged."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from common.codes import divisions
from common.events import EntitlementsDecided
from rules.deciding.lists import Lists
from rules.deciding.traits import ANYTHING, read_traits
from rules.form.policy import NATION, PolicyList
from rules.money.effects import Effect, Window, effect_of
from rules.money.groups import group_key
from rules.money.tallies import Stored, Tally
from rules.proof.edits import Edit

from identification.deciding.domain.decision import decide_person, traits_of_person
from identification.deciding.domain.person import Person, decision_of, inputs_of
from identification.lists.domain.content import ListSet, parts_digest

_TOUCHED_MAX: Final = 200_000
_touched: dict[tuple[str, str], bool] = {}


class Comparison(NamedTuple):
    """The two sets of lists of a simulation, with its window.

    `base`: the lists in force, after publication `base_seq`. `proposed`: these lists with that of `area` exchanged.
    `edit`: the difference. `known_at`: inputs recorded later are left out. `trusts_stored`: stored decisions are those
    of `base`, except for people with later inputs.
    """

    simulation_id: str
    area: str
    base_seq: int
    base: ListSet
    proposed: Lists
    edit: Edit
    window: Window
    known_at: datetime
    trusts_stored: bool


class Sides(NamedTuple):
    """The decisions about one person by both sets of lists."""

    person: Person
    before: EntitlementsDecided
    after: EntitlementsDecided


class Count:
    """Sums over people. `changes`: (person_id, fen more or less over the window) of people whose decision changes."""

    def __init__(self, window: Window) -> None:
        self.people = 0
        self.tally = Tally()
        self.changes: list[tuple[str, int]] = []
        self._window = window

    def add(self, sides: Sides) -> None:
        """Add one person."""
        effect = _effect(sides, self._window)
        if effect is None:
            return
        person, before, after = sides
        self.people += 1
        key = group_key(after.birth_date, after.residence, after.hukou, self._window)
        self.tally.count(person.person_id, key, before.entitlements, after.entitlements, effect, self._window)
        if effect.changed:
            self.changes.append((person.person_id, effect.figures.net_fen))


def _effect(sides: Sides, window: Window) -> Effect | None:
    """Return the effect on one person; None: the person is not counted.

    Not counted are a person who is merged into another one, and a person who died before the window and whose
    entitlements do not change.
    """
    before, after = sides.before, sides.after
    died_before = after.died_on is not None and after.died_on < window.first
    if after.merged_into or (died_before and before.entitlements == after.entitlements):
        return None
    return effect_of(before.entitlements, after.entitlements, window, after.died_on)


def basis_of(list_set: ListSet, area: str) -> str:
    """Return the digest of the lists and the coverage of an area, of all areas above it and of all areas inside it."""
    parts: dict[str, Any] = dict(list_set.versions)
    parts |= {f"{division}/told": feeds for division, feeds in list_set.lists.coverage.declared.items()}
    counted = {name: part for name, part in parts.items() if _are_nested(area, name.partition("/")[0])}
    return parts_digest(counted)


def _are_nested(one: str, other: str) -> bool:
    return divisions.within(one, other) or divisions.within(other, one)


def with_list(base: ListSet, proposed: PolicyList) -> Lists:
    """Return the lists of the base with one list exchanged, under the coverage of the base."""
    lists = {**base.lists.by_area, proposed.jurisdiction: proposed}
    return Lists(lists.values(), coverage=base.lists.coverage)


@lru_cache(maxsize=65536)
def belongs(area: str, traits: str) -> bool:
    """Whether the list of an area can decide anything about people of these traits."""
    if area == NATION or traits == ANYTHING:
        return True
    read = read_traits(traits)
    places = [*read.hukous, *(division for division, _ in read.residences)]
    return any(place and divisions.within(place, area) for place in places)


def touches(comparison: Comparison, traits: str) -> bool:
    """Whether the edit may change a decision about people of these traits. False is certain."""
    key = comparison.simulation_id, traits
    known = _touched.get(key)
    if known is None:
        if len(_touched) >= _TOUCHED_MAX:
            _touched.clear()
        known = _touched[key] = comparison.edit.touches(traits)
    return known


def is_of_base(person: Person, comparison: Comparison, newer: set[str]) -> bool:
    """Whether the stored decision is that of the base. `newer`: digests of sets published after the base."""
    return comparison.trusts_stored and person.recorded_at <= comparison.known_at and person.policy_digest not in newer


def decide_sides(person: Person, comparison: Comparison, newer: set[str]) -> Sides | None:
    """Return both decisions about a person. `newer`: as in `is_of_base`.

    None: nothing was known at `comparison.known_at`, or the stored traits are ANYTHING and the facts show that the
    list cannot decide anything about the person.
    """
    inputs = inputs_of(person)
    if inputs is None:
        return None
    before = decision_of(person) if is_of_base(person, comparison, newer) else None
    if before is None:
        before = decide_person(inputs, comparison.base.lists, comparison.known_at).event
    after, facts = decide_person(inputs, comparison.proposed, comparison.known_at)
    if not facts:
        return None
    traits = traits_of_person(inputs, after, facts) if person.traits == ANYTHING else None
    return Sides(person, before, after) if traits is None or belongs(comparison.area, traits) else None


def tally_of(result: bytes | None) -> Tally:
    """Decode a tally. `result`: JSON of `Stored`; None: an empty tally."""
    return Tally.of(msgspec.json.decode(result, type=Stored)) if result else Tally()
