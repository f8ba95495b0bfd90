"""What an edit of the lists, or of what is told where, can change, and for whom: those it cannot touch need not be
decided again.

A life is decided stretch by stretch, from what the lists say of the world in that stretch. So an edit can change
something for somebody only where the lists before and after it answer differently in a world that this person is ever
in. Traits distinguish people (`rules.deciding.traits`). Every combination of traits is examined at every age, which
is more than any person lives through. Whoever is not touched keeps the same decision; whoever is may keep it too.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from common.events.ability import Ability
from common.events.entitlement import Entitlement

from rules.deciding.choices import Choice
from rules.deciding.conditions import (
    ABILITY,
    AGE,
    DISABILITY,
    ELSEWHERE,
    LIVING,
    LOW_INCOME,
    MERIT,
    PLACE,
    REST,
    SPECIAL,
    WISHES,
)
from rules.deciding.decide import decide
from rules.deciding.exclusions import Relations, related, tied
from rules.deciding.lists import Area, Lists, Slab
from rules.deciding.outcome import Applicable, kinds_read_by
from rules.deciding.traits import ANYTHING, Traits, read_traits
from rules.facts.timeline import Fact
from rules.form.exclusion_rules import pairs_of
from rules.form.policy import PolicyList
from rules.proof.inclusion import only

_WORLDS_MAX: Final = 5000  # of one person; whoever has been more than that is taken to be touched
_REMEMBERED_MAX: Final = 200_000
_YOUNGER: Final = -1  # than any age that a list names


class AreaEdit(NamedTuple):
    """What differs between two lists of an area. `rules`: those between items."""

    area: str
    items: tuple[str, ...]
    rules: bool


def edits_between(before: Mapping[str, PolicyList], after: Mapping[str, PolicyList]) -> tuple[AreaEdit, ...]:
    """The areas whose lists differ in what decides, with the items that do."""
    found = []
    for area in sorted({*before, *after}):
        was, now = (side.get(area) or PolicyList(jurisdiction=area) for side in (before, after))
        items = sorted(i for i in {*was.items, *now.items} if was.items.get(i) != now.items.get(i))
        if items or was.exclusions != now.exclusions:
            found.append(AreaEdit(area, tuple(items), was.exclusions != now.exclusions))
    return tuple(found)


class _Change:
    """Days from `start` on over which the lists before and after an edit say different things of people of two places.

    `slots`: the parts of a world on which it hangs whether the answers differ.
    """

    def __init__(self, start: date, before: Slab, after: Slab, items: Collection[str], settle: bool) -> None:
        self.start, self._settle = start, settle
        self._sides = before.only(items), after.only(items)
        self.slots = {slot for side in self._sides for a in side.applicable for slot in a.slots}
        if settle:  # what is given up or has its like elsewhere stands in nobody's way
            self.slots |= {ELSEWHERE, WISHES}
        self._known: dict[tuple[Any, ...], bool] = {}

    def differs(self, rest: tuple[Any, ...]) -> bool:
        """`rest`: a world behind its places."""
        found = self._known.get(rest)
        if found is None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            found = self._known[rest] = self._compare(rest)
        return found

    def _compare(self, rest: tuple[Any, ...]) -> bool:
        if not self._settle:  # the rules between items are the same, so equal answers are settled alike
            one, other = ([a.outcome(side.world(rest)) for a in side.applicable] for side in self._sides)
            return [o for o in one if o] != [o for o in other if o]
        settled = [side.decide((*rest, False)) for side in self._sides]
        return None in settled or settled[0] != settled[1]  # None: the person may choose, by other rules than before


class Edit:
    """The step from one set of lists to another. Not thread-safe, like `Lists`."""

    def __init__(self, before: Lists, after: Lists) -> None:
        self._before, self._after = before, after
        self.areas = edits_between(before.by_area, after.by_area)
        self._ages = (_YOUNGER, *sorted({*before.ages, *after.ages}))
        self._changes: dict[tuple[Area | None, ...], tuple[_Change, ...]] = {}
        self._known: dict[tuple[Any, ...], bool] = {}
        lists = [one for side in (before, after) for one in side.by_area.values()]
        self.kinds = before.coverage.kinds_changed(after.coverage)
        self.items = frozenset(_reach(self.areas, lists, _items_reading(self.kinds, lists)))
        every = {item for one in lists for item in one.items}
        narrowed = (only([*self.items], one) for one in after.by_area.values())
        self._narrowed = Lists(narrowed, coverage=after.coverage)
        self.is_narrow = len(self.items) <= len(every) / 2

    def touches(self, line: str) -> bool:
        """Whether it may change anything for people of these traits. False is certain."""
        if not (self.areas or self.items):
            return False
        if line == ANYTHING:
            return True
        traits = read_traits(line)
        ways = product(traits.hukous, traits.residences)
        places = tuple((*self._areas(hukou, residence), place) for hukou, (residence, place) in ways)
        kind = places, any(hukou is not None for hukou in traits.hukous), *traits[2:]
        found = self._known.get(kind)
        if found is None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            found = self._known[kind] = self._looks_touched(traits, places)
        return found

    def _looks_touched(self, traits: Traits, places: Iterable[tuple[Any, ...]]) -> bool:
        for *areas, place in places:
            for change in self._between(tuple(areas)):
                is_over = traits.died_in is not None and change.start.year > traits.died_in
                if not is_over and self._meets(change, traits, place):
                    return True
        return False

    def keeps(
        self,
        person_id: str,
        decided: Sequence[Entitlement],
        facts: Sequence[Fact],
        abilities: Sequence[Ability],
        choices: Sequence[Choice],
    ) -> bool:
        """Whether what the lists before decided of these facts is what the lists after it decide: only the items that
        the edit can change are looked at, which is cheaper than to decide anew where `is_narrow`."""
        now = decide(person_id, facts, abilities, self._narrowed, choices=choices).entitlements
        return now == tuple([e for e in decided if e.item in self.items])

    def _meets(self, change: _Change, traits: Traits, place: str | None) -> bool:
        registered = any(one is not None for one in traits.hukous)
        values: dict[int, Sequence[Any]] = {
            AGE: self._ages if registered else (None,),
            DISABILITY: traits.disability,
            LOW_INCOME: traits.low_income,
            LIVING: traits.living,
            SPECIAL: traits.special,
            ABILITY: traits.ability,
            PLACE: (place,),
            MERIT: traits.merits,
            ELSEWHERE: traits.elsewhere,
            WISHES: traits.wishes,
        }
        axes = [values[slot] if slot in change.slots else (None,) for slot in REST]
        return prod(len(axis) for axis in axes) > _WORLDS_MAX or any(change.differs(rest) for rest in product(*axes))

    def _areas(self, hukou: str | None, residence: str | None) -> tuple[Area | None, ...]:
        """Places differ only by the areas that any list names there."""
        sides = (self._before, self._after)
        return tuple(None if at is None else lists.area(at) for lists in sides for at in (hukou, residence))

    def _between(self, areas: tuple[Area | None, ...]) -> tuple[_Change, ...]:
        """What differs for people of two places, remembered."""
        found = self._changes.get(areas)
        if found is None:
            if len(self._changes) >= _REMEMBERED_MAX:
                self._changes.clear()
            found = self._changes[areas] = tuple(_changes(self._before.plan(*areas[:2]), self._after.plan(*areas[2:])))
        return found


def _items_reading(kinds: Collection[str], lists: Sequence[PolicyList]) -> set[str]:
    """The items on which something hangs that these kinds say, or do not say."""
    items = (item for one in lists for item in one.items.values()) if kinds else ()
    return {item.item for item in items if any(kinds_read_by(version) & {*kinds} for version in item.versions)}


def _reach(areas: Sequence[AreaEdit], lists: Sequence[PolicyList], items: Collection[str]) -> set[str]:
    """The items that an edit can change: those edited or otherwise concerned, and all that any rule ties to them,
    however far."""
    pairs = [pair for one in lists for rule in one.exclusions for pair in pairs_of(rule)]
    ruled = {i for one in lists for rule in one.exclusions for i in rule.items} | {i for pair in pairs for i in pair}
    ruled = ruled if any(edit.rules for edit in areas) else set()
    return tied({item for edit in areas for item in edit.items} | {*items} | ruled, pairs)


def _changes(before: Sequence[Slab], after: Sequence[Slab]) -> Iterator[_Change]:
    """Two plans for the same places, held against each other."""
    for start in sorted({slab.start for plan in (before, after) for slab in plan}):
        was, now = (_in_force(plan, start) for plan in (before, after))
        if was is None or now is None:  # one side has no list yet; the other begins here
            there = was or now
            assert there is not None
            nothing = Slab((there.start, there.end), (there.hukou, there.residence), (), ())
            was, now = was or nothing, now or nothing
        items = _items_changed(was.applicable, now.applicable)
        ruled = _rules_changed(was.relations, now.relations)
        if items or ruled:
            reach = related(items | ruled, (was.relations, now.relations)) if ruled else items
            yield _Change(start, was, now, reach, settle=bool(ruled))


def _in_force(plan: Sequence[Slab], day: date) -> Slab | None:
    return next((slab for slab in plan if slab.start <= day < slab.end), None)


def _items_changed(before: Sequence[Applicable], after: Sequence[Applicable]) -> set[str]:
    was, now = ({a.item.item: _said(a) for a in side} for side in (before, after))
    return {item for item in {*was, *now} if was.get(item) != now.get(item)}


def _said(a: Applicable) -> tuple[Any, ...]:
    return a.version, a.jurisdiction, a.presumed, a.item.kind, a.slots, a.untold


def _rules_changed(before: Relations, after: Relations) -> set[str]:
    """The items that stand otherwise to others; where any two are named in another order, also all that are ranked."""
    sides = zip(before[:-1], after[:-1], strict=True)
    found = {item for was, now in sides for item in {*was, *now} if was.get(item) != now.get(item)}
    both = before.rank.keys() & after.rank.keys()
    if sorted(both, key=before.rank.__getitem__) != sorted(both, key=after.rank.__getitem__):
        found |= {*before.rank, *after.rank}
    return found
