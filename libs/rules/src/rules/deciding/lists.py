"""Find the lists that count at a place and time, and remember their answers per situation.

Many persons share a situation (age band, income class, place …). So each answer is computed once per situation. For
every further person it is looked up.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final

from common.codes import divisions

from rules.deciding.areas import Ancestors, Area, Areas, Codes
from rules.deciding.conditions import leaves_of_list
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.segment import Segment, where_of
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.facts.timeline import FAR_FUTURE
from rules.form.period import edges, in_force
from rules.form.policy import NATION, Condition, Follows, ItemPolicy, PolicyList, Version
from rules.form.situation import TEST

_PLANS_MAX: Final = 20_000  # pairs of places with lists of their own
_SITUATIONS_MAX: Final = 100_000  # about 50 MB; a city of ten counties needs a few ten thousand
_NOT_YET: Final[Any] = object()  # None is an answer


_Plans = dict[tuple[Area | None, Area | None], tuple[Segment, ...]]
_Answers = dict[tuple[Segment, tuple[Any, ...]], tuple[Outcome, ...] | None]


class _Unique:
    """Keeps one object for equal outcomes, and one for equal tuples of outcomes, so that `is` can compare them."""

    def __init__(self) -> None:
        self._one: dict[Outcome, Outcome] = {}
        self._tuples: dict[tuple[int, ...], tuple[Outcome, ...]] = {}  # by identity: outcomes are kept in `_one`

    def outcome(self, outcome: Outcome) -> Outcome:
        return self._one.setdefault(outcome, outcome)

    def outcomes(self, outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
        found = tuple([self.outcome(o) for o in outcomes])
        return self._tuples.setdefault(tuple(map(id, found)), found)


class Lists:
    """The lists of all areas. The methods find those that count for a hukou and a residence, with their answers.

    It is not thread-safe. A change of lists or coverage needs a new object. `by_area`: the lists. `ages`: the ages in
    years at which any list changes an answer. `first_day`: the first day with any list. `area(division)`: the area of
    a division. `same(outcome)`: the one object of equal outcomes.
    """

    def __init__(
        self,
        lists: Iterable[PolicyList],
        ancestors: Ancestors = divisions.ancestors,
        coverage: Coverage = NOTHING_DECLARED,
    ) -> None:
        self.by_area = {one.jurisdiction: one for one in lists}
        self.coverage = coverage
        tests = [leaf for one in self.by_area.values() for leaf in leaves_of_list(one)]
        self.ages = tuple(sorted(_ages(tests)))
        self.first_day = min(days_of_change(*self.by_area.values()), default=FAR_FUTURE)
        self._kinds = frozenset(TEST[test.test].kind for test in tests)
        self._named = {NATION, *self.by_area, *(area for test in tests for area in test.areas)}
        self.area = Areas(self._named | coverage.declared.keys(), ancestors).of
        self._unique = _Unique()
        self.same = self._unique.outcome
        self._plans: _Plans = {}
        self._outcomes: _Answers = {}
        self._applicables: dict[tuple[Any, ...], Applicable] = {}

    def plan(self, hukou: Area | None, residence: Area | None) -> tuple[Segment, ...]:
        """Return the segments of a hukou and a residence (None: unknown), without gaps.

        The first begins on the first day of the lists that count there. There is none without such lists.
        """
        found = self._plans.get((hukou, residence))
        if found is None:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
                self._outcomes.clear()
            found = self._plans[hukou, residence] = tuple(self._segments(hukou, residence))
        return found

    def segment(self, hukou: Area | None, residence: Area | None, day: date) -> Segment | None:
        """Return the segment of two places on a day; None if no list counts there yet."""
        return next((s for s in self.plan(hukou, residence) if s.start <= day < s.end), None)

    def outcomes(self, segment: Segment, key: tuple[Any, ...]) -> tuple[Outcome, ...] | None:
        """Return the result of `Segment.decide`, computed once per segment and key. Equal results are one object."""
        found: tuple[Outcome, ...] | None = self._outcomes.get((segment, key), _NOT_YET)
        if found is _NOT_YET:
            if len(self._outcomes) >= _SITUATIONS_MAX:
                self._outcomes.clear()
            decided = segment.decide(key)
            found = None if decided is None else self._unique.outcomes(decided)
            self._outcomes[segment, key] = found
        return found

    def _segments(self, hukou: Area | None, residence: Area | None) -> Iterator[Segment]:
        places = (hukou.codes if hukou else None, residence.codes if residence else None)
        where = where_of(*places)
        lists = self._nearest_lists(places)
        days = days_of_change(*lists)
        if days:
            first = min(days)
            days |= {day for day in self.coverage.days(where, self._kinds) if day > first}
        for start, end in pairwise([*sorted(days), FAR_FUTURE]):
            unreported = self.coverage.unreported(where, start, self._kinds)
            rules = [(one.jurisdiction, [r for r in one.exclusions if in_force(r, start)]) for one in lists]
            yield Segment((start, end), places, self._applicable(hukou, residence, start, unreported), rules)

    def _nearest_lists(self, places: tuple[Codes | None, Codes | None]) -> list[PolicyList]:
        """Return the lists of both places, nearest first; if both places are unknown, the list of the nation."""
        chains = [[c for c in codes if c in self._named] for codes in places if codes] or [[NATION]]
        depth = {code: len(chain) - i for chain in chains for i, code in enumerate(chain)}
        nearest = sorted(depth, key=lambda code: (-depth[code], code))
        return [self.by_area[code] for code in nearest if code in self.by_area]

    def _applicable(
        self, hukou: Area | None, residence: Area | None, day: date, unreported: frozenset[str]
    ) -> list[Applicable]:
        """Return the version of each item that counts on a day, sorted by item."""
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
        """Return the `Applicable` of a version: one object for all persons, because it remembers its answers."""
        name = (jurisdiction, item.item, version.valid_from, presumed, unreported)
        found = self._applicables.get(name)
        if found is None:
            found = self._applicables[name] = Applicable(item, version, jurisdiction, presumed, unreported)
        return found

    def _nearest_versions(self, codes: Sequence[str], day: date) -> Iterator[tuple[ItemPolicy, Version, str]]:
        """Yield for each item the version of the nearest list that names it on a day, with the area of that list."""
        seen: set[str] = set()
        for code in codes:
            for name, item in (self.by_area[code].items if code in self.by_area else {}).items():
                version = next((v for v in item.versions if in_force(v, day)), None)
                if version and name not in seen:
                    seen.add(name)
                    yield item, version, code


def days_of_change(*lists: PolicyList) -> set[date]:
    """Return the days on which a version or a rule between items begins or ends."""
    versions = (version for one in lists for item in one.items.values() for version in item.versions)
    return edges([*versions, *(rule for one in lists for rule in one.exclusions)])


def _ages(tests: Iterable[Condition]) -> set[int]:
    """Return every age in years at which a test changes its answer."""
    found: set[int] = set()
    for test in tests:
        if test.age_years_min is not None:
            found.add(test.age_years_min)
        elif test.age_years_max is not None:
            found.add(test.age_years_max + 1)
    return found
