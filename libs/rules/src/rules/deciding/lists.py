"""Which lists count at which place and time, and their answers, remembered per situation.

Many persons share a situation (age band, income class, place …). So an answer is computed once per situation, and a
further person costs a look-up.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final

import msgspec
from common.codes import divisions

from rules.deciding.conditions import leaves_of_version
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.segment import Codes, Segment, where_of
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.facts.timeline import FAR_FUTURE
from rules.form.policy import NATION, Condition, Exclusion, Follows, ItemPolicy, PolicyList, Version
from rules.form.situation import TEST

_AREAS_MAX: Final = 200_000  # every village of a few provinces
_PLANS_MAX: Final = 20_000  # pairs of places with lists of their own
_SITUATIONS_MAX: Final = 100_000  # about 50 MB; a city of ten counties needs a few ten thousand
_NOT_YET: Final[Any] = object()  # None is an answer
NOWHERE: Final = ""  # the hukou of a person without one: it is known, and no list counts by it


class Area(msgspec.Struct, frozen=True, eq=False):
    """The areas, nearest first, that hold a place and that some list names; empty for NOWHERE.

    There is one object per chain of areas.
    """

    codes: Codes


class Lists:
    """All lists in force, for any two places. Not thread-safe. A change of lists or coverage needs a new object.

    `by_area`: the lists. `ages`: the birthdays that any list names. `first_day`: the first day with any list.
    """

    def __init__(
        self,
        lists: Iterable[PolicyList],
        ancestors: Callable[[str], Sequence[str]] = divisions.ancestors,
        coverage: Coverage = NOTHING_DECLARED,
    ) -> None:
        self.by_area = {one.jurisdiction: one for one in lists}
        self.coverage = coverage
        self._ancestors = ancestors
        tests = [leaf for one in self.by_area.values() for leaf in _leaves(one)]
        self.ages = tuple(sorted(_ages(tests)))
        self._named_by_lists = {NATION, *self.by_area, *(area for test in tests for area in test.areas)}
        self._named = self._named_by_lists | coverage.declared.keys()
        self._kinds = frozenset(TEST[test.test].kind for test in tests)
        self.first_day = min((d for one in self.by_area.values() for d in _dates(one)), default=FAR_FUTURE)
        self._outcomes: dict[tuple[Segment, tuple[Any, ...]], tuple[Outcome, ...] | None] = {}
        self._one: dict[Outcome, Outcome] = {}
        self._settled: dict[tuple[int, ...], tuple[Outcome, ...]] = {}  # by identity: outcomes are kept in `_one`
        self._applicables: dict[tuple[Any, ...], Applicable] = {}
        self._area_of: dict[str, Area] = {}
        self._areas: dict[Codes, Area] = {}
        self._plans: dict[tuple[Area | None, Area | None], tuple[Segment, ...]] = {}

    def area(self, division: str) -> Area:
        """The area of a division. An unknown code lies in the nation."""
        found = self._area_of.get(division)
        if found is None:
            if len(self._area_of) >= _AREAS_MAX:
                self._area_of.clear()
            codes = self._codes(division)
            found = self._area_of[division] = self._areas.setdefault(codes, Area(codes))
        return found

    def _codes(self, division: str) -> Codes:
        if division == NOWHERE:
            return ()
        chain = [code for code in (division, *self._ancestors(division)) if code in self._named and code != NATION]
        return (*chain, NATION)

    def plan(self, hukou: Area | None, residence: Area | None) -> tuple[Segment, ...]:
        """The segments of two places, without gaps, from the first policy date on."""
        found = self._plans.get((hukou, residence))
        if found is None:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
                self._outcomes.clear()
            found = self._plans[hukou, residence] = tuple(self._segments(hukou, residence))
        return found

    def segment(self, hukou: Area | None, residence: Area | None, day: date) -> Segment | None:
        """The segment of a day; None before the first policy date."""
        return next((s for s in self.plan(hukou, residence) if s.start <= day < s.end), None)

    def outcomes(self, segment: Segment, key: tuple[Any, ...]) -> tuple[Outcome, ...] | None:
        """`Segment.decide`, remembered. Equal outcomes are one object, and so are equal tuples of outcomes."""
        found: tuple[Outcome, ...] | None = self._outcomes.get((segment, key), _NOT_YET)
        if found is _NOT_YET:
            if len(self._outcomes) >= _SITUATIONS_MAX:
                self._outcomes.clear()
            decided = segment.decide(key)
            found = None if decided is None else tuple([self.same(o) for o in decided])
            if found is not None:
                found = self._settled.setdefault(tuple(map(id, found)), found)
            self._outcomes[segment, key] = found
        return found

    def same(self, outcome: Outcome) -> Outcome:
        """The one object for an outcome."""
        return self._one.setdefault(outcome, outcome)

    def _segments(self, hukou: Area | None, residence: Area | None) -> Iterator[Segment]:
        places = (hukou.codes if hukou else None, residence.codes if residence else None)
        where = where_of(*places)
        lists = self._nearest_lists(places)
        days = {day for one in lists for day in _dates(one)}
        if days:
            first = min(days)
            days |= {day for day in self.coverage.days(where, self._kinds) if day > first}
        for start, end in pairwise([*sorted(days), FAR_FUTURE]):
            unreported = self.coverage.unreported(where, start, self._kinds)
            rules = [(one.jurisdiction, [r for r in one.exclusions if _in_force(r, start)]) for one in lists]
            yield Segment((start, end), places, self._applicable(hukou, residence, start, unreported), rules)

    def _nearest_lists(self, places: tuple[Codes | None, Codes | None]) -> list[PolicyList]:
        """The lists of both places, nearest first."""
        chains = [[c for c in codes if c in self._named_by_lists] for codes in places if codes] or [[NATION]]
        depth = {code: len(chain) - i for chain in chains for i, code in enumerate(chain)}
        nearest = sorted(depth, key=lambda code: (-depth[code], code))
        return [self.by_area[code] for code in nearest if code in self.by_area]

    def _applicable(
        self, hukou: Area | None, residence: Area | None, day: date, unreported: frozenset[str]
    ) -> list[Applicable]:
        """The version of each item that counts on a day, sorted by item."""
        found: dict[str, Applicable] = {}
        sides: tuple[tuple[Follows, Area | None, Area | None], ...] = (
            ("hukou", hukou, residence),
            ("residence", residence, hukou),
        )
        for follows, own, other in sides:
            codes = own.codes if own else (other.codes if other else ()) or (NATION,)
            for item, version, jurisdiction in self._nearest_versions(codes, day):
                if item.follows == follows and item.item not in found:
                    found[item.item] = self._applies(item, version, jurisdiction, own is None, unreported)
        return [found[name] for name in sorted(found)]

    def _applies(
        self, item: ItemPolicy, version: Version, jurisdiction: str, presumed: bool, unreported: frozenset[str]
    ) -> Applicable:
        """One object for all persons, because it remembers its answers."""
        name = (jurisdiction, item.item, version.valid_from, presumed, unreported)
        found = self._applicables.get(name)
        if found is None:
            found = self._applicables[name] = Applicable(item, version, jurisdiction, presumed, unreported)
        return found

    def _nearest_versions(self, codes: Sequence[str], day: date) -> Iterator[tuple[ItemPolicy, Version, str]]:
        """Of each item the version of the nearest list that names it on a day."""
        seen: set[str] = set()
        for code in codes:
            for name, item in (self.by_area[code].items if code in self.by_area else {}).items():
                version = next((v for v in item.versions if _in_force(v, day)), None)
                if version and name not in seen:
                    seen.add(name)
                    yield item, version, code


def _in_force(dated: Version | Exclusion, day: date) -> bool:
    return dated.valid_from <= day and (dated.valid_to is None or day < dated.valid_to)


def _dates(one: PolicyList) -> set[date]:
    dated = [*(v for item in one.items.values() for v in item.versions), *one.exclusions]
    return {d for x in dated for d in (x.valid_from, x.valid_to) if d}


def _leaves(one: PolicyList) -> Iterator[Condition]:
    for item in one.items.values():
        for version in item.versions:
            yield from leaves_of_version(version)


def _ages(tests: Iterable[Condition]) -> set[int]:
    """Every birthday on which some test changes its answer."""
    found: set[int] = set()
    for test in tests:
        if test.age_years_min is not None:
            found.add(test.age_years_min)
        elif test.age_years_max is not None:
            found.add(test.age_years_max + 1)
    return found
