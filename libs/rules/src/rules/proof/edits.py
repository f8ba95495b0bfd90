"""Find the items and the persons for whom an edit of lists or coverage can change a decision.

`decide` asks the lists for the answers in each situation of a person's life. So an edit can change a decision only if
the lists before and after it answer differently in a situation of this person. Traits distinguish persons
(`rules.deciding.traits`). The check tries every combination of a person's traits at every age, which includes every
real situation of the person. A person whom the edit does not touch keeps the same decision. A touched person may also
keep it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from common.events.ability import Ability
from common.events.entitlement import Entitlement

from rules.deciding.areas import Area
from rules.deciding.choices import Choice
from rules.deciding.decide import decide
from rules.deciding.exclusions import Relations, related, tied
from rules.deciding.lists import Lists
from rules.deciding.outcome import Applicable, kinds_read_by
from rules.deciding.segment import Segment
from rules.deciding.traits import ANYTHING, Traits, read_traits
from rules.facts.timeline import Fact
from rules.form.exclusion_rules import pairs_of
from rules.form.policy import PolicyList
from rules.form.situation import AGE, ELSEWHERE, PLACE, REST, WISHES
from rules.proof.inclusion import only

_SITUATIONS_MAX: Final = 5000  # of one person; a person with more counts as touched
_REMEMBERED_MAX: Final = 200_000
_YOUNGER: Final = -1  # than any age in a list


class AreaEdit(NamedTuple):
    """The differences between two lists of an area. `rules`: whether the rules between items differ."""

    area: str
    items: tuple[str, ...]
    rules: bool


def edits_between(before: Mapping[str, PolicyList], after: Mapping[str, PolicyList]) -> tuple[AreaEdit, ...]:
    """Return the areas whose lists differ in items or in the rules between items, sorted by area."""
    found = []
    for area in sorted({*before, *after}):
        was, now = (side.get(area) or PolicyList(jurisdiction=area) for side in (before, after))
        items = sorted(i for i in {*was.items, *now.items} if was.items.get(i) != now.items.get(i))
        if items or was.exclusions != now.exclusions:
            found.append(AreaEdit(area, tuple(items), was.exclusions != now.exclusions))
    return tuple(found)


class _Difference:
    """A difference between the lists before and after an edit, for persons of one hukou and one residence.

    It begins on `start`. `items`: those that can differ. `settle`: whether the rules between items differ too. `slots`:
    indexes of the circumstances on which it depends whether the answers differ.
    """

    def __init__(self, start: date, before: Segment, after: Segment, items: Collection[str], settle: bool) -> None:
        self.start, self._settle = start, settle
        self._sides = before.only(items), after.only(items)
        self.slots = {slot for side in self._sides for a in side.applicable for slot in a.slots}
        if settle:  # an item that is declined, or yields to a benefit elsewhere, excludes no other
            self.slots |= {ELSEWHERE, WISHES}
        self._known: dict[tuple[Any, ...], bool] = {}

    def differs(self, rest: tuple[Any, ...]) -> bool:
        """Whether the answers differ in a situation. `rest`: the values of the circumstances of `REST`."""
        found = self._known.get(rest)
        if found is None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            found = self._known[rest] = self._compare(rest)
        return found

    def _compare(self, rest: tuple[Any, ...]) -> bool:
        if not self._settle:  # the rules between items are the same, so equal answers have equal results
            one, other = (self._answers(side, rest) for side in self._sides)
            return one != other
        settled = [side.decide((*rest, False)) for side in self._sides]
        return None in settled or settled[0] != settled[1]  # None: the person may choose, by other rules than before

    def _answers(self, side: Segment, rest: tuple[Any, ...]) -> list[Any]:
        """Return the outcomes of one side before the rules between items."""
        situation = side.situation(rest)
        return [outcome for a in side.applicable if (outcome := a.outcome(situation))]

    def meets(self, traits: Traits, ages: Sequence[int], place: str | None) -> bool:
        """Whether the answers may differ in any situation of a person with these traits, in one kind of place.

        `ages`: the ages to try. A person with too many situations counts as True.
        """
        registered = any(hukou is not None for hukou in traits.hukous)
        special = {AGE: ages if registered else (None,), PLACE: (place,)}
        axes = [
            special.get(slot, values) if slot in self.slots else (None,)
            for slot, values in zip(REST, traits.rest, strict=True)
        ]
        if prod(len(axis) for axis in axes) > _SITUATIONS_MAX:
            return True
        return any(self.differs(rest) for rest in product(*axes))


class Edit:
    """The change from one set of lists to another. It is not thread-safe, like `Lists`.

    `areas`: the edits by area. `kinds`: kinds of facts whose coverage changes. `items`: the items that can change.
    `is_narrow`: whether `items` are at most half of all items.
    """

    def __init__(self, before: Lists, after: Lists) -> None:
        self._before, self._after = before, after
        self.areas = edits_between(before.by_area, after.by_area)
        self.kinds = before.coverage.kinds_changed(after.coverage)
        self._ages = (_YOUNGER, *sorted({*before.ages, *after.ages}))
        self._differences: dict[tuple[Area | None, ...], tuple[_Difference, ...]] = {}
        self._known: dict[tuple[Any, ...], bool] = {}
        lists = [one for side in (before, after) for one in side.by_area.values()]
        self.items = frozenset(_reach(self.areas, lists, _items_reading(self.kinds, lists)))
        self.is_narrow = len(self.items) <= len({item for one in lists for item in one.items}) / 2
        narrowed = (only([*self.items], one) for one in after.by_area.values())
        self._narrowed = Lists(narrowed, coverage=after.coverage)

    def touches(self, line: str) -> bool:
        """Whether the edit may change anything for persons with a traits line. False is certain, True is not."""
        if not (self.areas or self.items):
            return False
        if line == ANYTHING:
            return True
        traits = read_traits(line)
        places = tuple(self._places(traits))
        kind = places, any(hukou is not None for hukou in traits.hukous), traits.rest, traits.died_in
        found = self._known.get(kind)
        if found is None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            found = self._known[kind] = self._looks_touched(traits, places)
        return found

    def _places(self, traits: Traits) -> Iterator[tuple[tuple[Area | None, ...], str | None]]:
        """Yield for each hukou with each residence: the areas before and after the edit, and the kind of place."""
        for hukou, (residence, place) in product(traits.hukous, traits.residences):
            yield self._areas(hukou, residence), place

    def _looks_touched(self, traits: Traits, places: Iterable[tuple[tuple[Area | None, ...], str | None]]) -> bool:
        """Whether any difference may change an answer for a person with these traits."""
        for areas, place in places:
            for difference in self._between(areas):
                is_over = traits.died_in is not None and difference.start.year > traits.died_in
                if not is_over and difference.meets(traits, self._ages, place):
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
        """Whether the lists after the edit give the decision of the lists before it (`decided`) from these inputs.

        Only the items that can change are decided. This is cheaper than a full decision if `is_narrow`.
        """
        now = decide(person_id, facts, abilities, self._narrowed, choices=choices).entitlements
        return now == tuple([e for e in decided if e.item in self.items])

    def _areas(self, hukou: str | None, residence: str | None) -> tuple[Area | None, ...]:
        """Return the areas of hukou and residence before the edit, then those after it; None: unknown."""
        sides = (self._before, self._after)
        return tuple(None if at is None else lists.area(at) for lists in sides for at in (hukou, residence))

    def _between(self, areas: tuple[Area | None, ...]) -> tuple[_Difference, ...]:
        """Return the differences for persons of two places, computed once. `areas`: as from `_areas`."""
        found = self._differences.get(areas)
        if found is None:
            if len(self._differences) >= _REMEMBERED_MAX:
                self._differences.clear()
            plans = self._before.plan(*areas[:2]), self._after.plan(*areas[2:])
            found = self._differences[areas] = tuple(_differences(*plans))
        return found


def _items_reading(kinds: Collection[str], lists: Sequence[PolicyList]) -> set[str]:
    """Return the items that depend on any of these kinds of facts."""
    items = (item for one in lists for item in one.items.values()) if kinds else ()
    return {item.item for item in items if any(kinds_read_by(version) & {*kinds} for version in item.versions)}


def _reach(areas: Sequence[AreaEdit], lists: Sequence[PolicyList], items: Collection[str]) -> set[str]:
    """Return the items that an edit can change: `items`, the edited items, and all that rules connect with them.

    If the edit changes a rule between items, all items that rules name are added."""
    rules = [rule for one in lists for rule in one.exclusions]
    pairs = [pair for rule in rules for pair in pairs_of(rule)]
    start = {item for edit in areas for item in edit.items} | {*items}
    if any(edit.rules for edit in areas):
        start |= {item for rule in rules for item in rule.items} | {item for pair in pairs for item in pair}
    return tied(start, pairs)


def _differences(before: Sequence[Segment], after: Sequence[Segment]) -> Iterator[_Difference]:
    """Yield the differences between the segments before and after an edit, for the same places."""
    for start in sorted({segment.start for plan in (before, after) for segment in plan}):
        was, now = _both_sides(_in_force(before, start), _in_force(after, start))
        items = _items_changed(was.applicable, now.applicable)
        ruled = _rules_changed(was.relations, now.relations)
        if items or ruled:
            reach = related(items | ruled, (was.relations, now.relations)) if ruled else items
            yield _Difference(start, was, now, reach, settle=bool(ruled))


def _both_sides(was: Segment | None, now: Segment | None) -> tuple[Segment, Segment]:
    """Return both segments. An empty segment replaces a missing one; at least one must be given."""
    there = was or now
    assert there is not None
    nothing = Segment((there.start, there.end), (there.hukou, there.residence), (), ())
    return was or nothing, now or nothing


def _in_force(plan: Sequence[Segment], day: date) -> Segment | None:
    return next((segment for segment in plan if segment.start <= day < segment.end), None)


def _items_changed(before: Sequence[Applicable], after: Sequence[Applicable]) -> set[str]:
    was, now = ({a.item.item: _deciding_parts(a) for a in side} for side in (before, after))
    return {item for item in {*was, *now} if was.get(item) != now.get(item)}


def _deciding_parts(a: Applicable) -> tuple[Any, ...]:
    """Return the parts of a version that affect its answers."""
    return a.version, a.jurisdiction, a.presumed, a.item.kind, a.slots, a.unreported


def _rules_changed(before: Relations, after: Relations) -> set[str]:
    """Return the items with different relations. If the order of any two items changes, add all items with a rank."""
    sides = zip(before[:-1], after[:-1], strict=True)
    found = {item for was, now in sides for item in {*was, *now} if was.get(item) != now.get(item)}
    both = before.rank.keys() & after.rank.keys()
    if sorted(both, key=before.rank.__getitem__) != sorted(both, key=after.rank.__getitem__):
        found |= {*before.rank, *after.rank}
    return found
