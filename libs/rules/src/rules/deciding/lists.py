"""Which lists count where and when, and what they say about one kind of person – worked out once and remembered.

Whole populations share few worlds (an age band, an income class, a place …), so every answer is kept per world
and a person costs only the look-ups.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import copy
from datetime import date
from itertools import pairwise
from typing import Any, Final

import msgspec
from common.codes import divisions

from rules.deciding.conditions import TEST, World, leaves
from rules.deciding.exclusions import beaten, block, contested, giving_way, relate
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.precedence import give_up, yield_elsewhere
from rules.facts.coverage import NOTHING_DECLARED, Coverage, Where
from rules.facts.timeline import FAR_FUTURE
from rules.form.policy import NATION, Condition, Exclusion, Follows, ItemPolicy, PolicyList, Version

_AREAS_MAX = 200_000  # every village of a few provinces
_PLANS_MAX = 20_000  # pairs of places with lists of their own
_NOT_YET: Any = object()  # None is an answer
_WORLDS_MAX = 100_000  # about 50 MB; a city of ten counties needs a few ten thousand


NOWHERE: Final = ""  # the hukou of those who have none: it is known, and no list counts by it


class Area(msgspec.Struct, frozen=True, eq=False):
    """The areas, nearest first, that hold a place and that some list names. One object per such chain; an empty one for
    NOWHERE."""

    codes: tuple[str, ...]


class Slab:
    """What counts over [`start`, `end`) for people of one hukou and one residence."""

    def __init__(
        self,
        period: tuple[date, date],
        places: tuple[tuple[str, ...] | None, tuple[str, ...] | None],
        applicable: Iterable[Applicable],
        rules: Sequence[tuple[str, Sequence[Exclusion]]],
    ) -> None:
        self.start, self.end = period
        self.hukou, self.residence = places
        self.applicable = tuple(applicable)
        where = self.where
        areas_of = {a.item.item: where.hukou if a.item.follows == "hukou" else where.residence for a in self.applicable}
        self.relations = relate(rules, areas_of)

    @property
    def where(self) -> Where:
        """Where each kind is administered; the one known place stands for the other."""
        return _where(self.hukou, self.residence)

    def world(self, rest: Iterable[Any]) -> World:
        """The world of somebody here: `rest` is what follows the two places in `World`."""
        return World(self.hukou, self.residence, *rest)

    def contenders(self, key: tuple[Any, ...]) -> list[Outcome]:
        """Every item that is not refused, sorted by item, with nothing settled between them but the blocks. `key`: the
        rest of the world, and last whether a death is suspected."""
        world = self.world(key[:-1])
        outcomes = [outcome for a in self.applicable if (outcome := a.outcome(world))]
        if world.wishes:
            outcomes = give_up(outcomes, world.wishes)
        if world.elsewhere:
            outcomes = yield_elsewhere(outcomes, self.relations, world.elsewhere)
        return block(outcomes, self.relations) if self.relations.blocked_by else outcomes

    def decide(self, key: tuple[Any, ...]) -> list[Outcome] | None:
        """The same, all settled. None where the person may choose: that hangs on what they have (`Holder`)."""
        settled = self.contenders(key)
        if self.relations.rivals and contested(settled, self.relations):
            return None
        if lost := beaten(settled, self.relations):
            settled = [giving_way(o, "suppressed", lost[o.item]) if o.item in lost else o for o in settled]
        return [held(outcome) for outcome in settled] if key[-1] else settled

    def only(self, items: Collection[str]) -> "Slab":
        """The same, silent about all other items."""
        cut = copy(self)
        cut.applicable = tuple(a for a in self.applicable if a.item.item in items)
        return cut


def held(outcome: Outcome) -> Outcome:
    """Money waits while a death is suspected; services go on (visits become the check itself)."""
    if outcome.kind == "cash" and outcome.state == "granted":
        return msgspec.structs.replace(outcome, state="suspended")
    return outcome


class Lists:
    """All lists in force, resolved for any two places. Not thread-safe; make a new one when a list or the coverage
    changes."""

    def __init__(
        self,
        lists: Iterable[PolicyList],
        ancestors: Callable[[str], Sequence[str]] = divisions.ancestors,
        coverage: Coverage = NOTHING_DECLARED,
    ) -> None:
        self.by_area = {one.jurisdiction: one for one in lists}
        self.coverage = coverage
        self._ancestors = ancestors
        conditions = [c for one in self.by_area.values() for c in _conditions(one)]
        tests = [leaf for c in conditions for leaf in leaves(c)]
        self.ages = tuple(sorted(_ages(tests) | _band_ages(self.by_area.values())))
        self._named_by_lists = {NATION, *self.by_area} | {
            area for name, areas in tests if name in ("hukou_in", "residence_in") for area in areas
        }
        self._named = self._named_by_lists | coverage.declared.keys()
        self._kinds = frozenset(TEST[name].kind for name, _ in tests)
        self.first_day = min((d for one in self.by_area.values() for d in _dates(one)), default=FAR_FUTURE)
        self._outcomes: dict[tuple[Slab, tuple[Any, ...]], tuple[Outcome, ...] | None] = {}
        self._one: dict[Outcome, Outcome] = {}
        self._settled: dict[tuple[int, ...], tuple[Outcome, ...]] = {}  # by identity: outcomes are kept in `_one`
        self._applicables: dict[tuple[Any, ...], Applicable] = {}
        self._area_of: dict[str, Area] = {}
        self._areas: dict[tuple[str, ...], Area] = {}
        self._plans: dict[tuple[Area | None, Area | None], tuple[Slab, ...]] = {}

    def area(self, division: str) -> Area:
        """What matters of a place to any list. An unknown code lies in the nation at least."""
        found = self._area_of.get(division)
        if found is None:
            if len(self._area_of) >= _AREAS_MAX:
                self._area_of.clear()
            chain = [code for code in (division, *self._ancestors(division)) if code in self._named]
            codes = () if division == NOWHERE else (*(code for code in chain if code != NATION), NATION)
            found = self._area_of[division] = self._areas.setdefault(codes, Area(codes))
        return found

    def plan(self, hukou: Area | None, residence: Area | None) -> tuple[Slab, ...]:
        """What counts from the first policy date to the end of time, without gaps."""
        found = self._plans.get((hukou, residence))
        if found is None:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
                self._outcomes.clear()
            found = self._plans[hukou, residence] = tuple(self._slabs(hukou, residence))
        return found

    def outcomes(self, slab: Slab, key: tuple[Any, ...]) -> tuple[Outcome, ...] | None:
        """What a slab says of a world (`Slab.decide`), remembered; equal outcomes are one object, and so are equal
        tuples of them."""
        found: tuple[Outcome, ...] | None = self._outcomes.get((slab, key), _NOT_YET)
        if found is _NOT_YET:
            if len(self._outcomes) >= _WORLDS_MAX:
                self._outcomes.clear()
            decided = slab.decide(key)
            found = None if decided is None else tuple([self.same(o) for o in decided])
            if found is not None:
                found = self._settled.setdefault(tuple(map(id, found)), found)
            self._outcomes[slab, key] = found
        return found

    def same(self, outcome: Outcome) -> Outcome:
        """The one object for an outcome."""
        return self._one.setdefault(outcome, outcome)

    def _slabs(self, hukou: Area | None, residence: Area | None) -> Iterator[Slab]:
        places = (hukou.codes if hukou else None, residence.codes if residence else None)
        where = _where(*places)
        chains = [[c for c in codes if c in self._named_by_lists] for codes in places if codes] or [[NATION]]
        depth = {code: len(chain) - i for chain in chains for i, code in enumerate(chain)}
        nearest = sorted(depth, key=lambda code: (-depth[code], code))
        lists = [self.by_area[code] for code in nearest if code in self.by_area]
        days = {d for one in lists for d in _dates(one)}
        days |= {d for d in self.coverage.days(where, self._kinds) if days and d > min(days)}
        for start, end in pairwise([*sorted(days), FAR_FUTURE]):
            yield Slab(
                (start, end),
                places,
                self._applicable(hukou, residence, start, self.coverage.untold(where, start, self._kinds)),
                [(one.jurisdiction, [r for r in one.exclusions if _in_force(r, start)]) for one in lists],
            )

    def _applicable(
        self, hukou: Area | None, residence: Area | None, day: date, untold: frozenset[str]
    ) -> Iterator[Applicable]:
        found: dict[str, Applicable] = {}
        sides: tuple[tuple[Follows, Area | None, Area | None], ...] = (
            ("hukou", hukou, residence),
            ("residence", residence, hukou),
        )
        for follows, own, other in sides:
            codes = own.codes if own else (other.codes if other else ()) or (NATION,)
            named = self._nearest(codes, day)
            for item, version, jurisdiction in named:
                if item.follows == follows and item.item not in found:
                    found[item.item] = self._applies(item, version, jurisdiction, own is None, untold)
        return iter(found[name] for name in sorted(found))

    def _applies(
        self, item: ItemPolicy, version: Version, jurisdiction: str, presumed: bool, untold: frozenset[str]
    ) -> Applicable:
        """One object for all people for whom it counts, since it remembers its answers."""
        name = (jurisdiction, item.item, version.valid_from, presumed, untold)
        found = self._applicables.get(name)
        if found is None:
            found = self._applicables[name] = Applicable(item, version, jurisdiction, presumed, untold)
        return found

    def _nearest(self, codes: Sequence[str], day: date) -> Iterator[tuple[ItemPolicy, Version, str]]:
        """Of every item the version of the nearest list that names it on that day."""
        seen: set[str] = set()
        for code in codes:
            for name, item in (self.by_area[code].items if code in self.by_area else {}).items():
                version = next((v for v in item.versions if _in_force(v, day)), None)
                if version and name not in seen:
                    seen.add(name)
                    yield item, version, code

    def slab(self, hukou: Area | None, residence: Area | None, day: date) -> Slab | None:
        """What counts on a day for people of these places; None before the first policy date."""
        return next((s for s in self.plan(hukou, residence) if s.start <= day < s.end), None)


def _where(hukou: tuple[str, ...] | None, residence: tuple[str, ...] | None) -> Where:
    return Where(hukou or residence or (NATION,), residence or hukou or (NATION,))


def _in_force(dated: Version | Exclusion, day: date) -> bool:
    return dated.valid_from <= day and (dated.valid_to is None or day < dated.valid_to)


def _dates(one: PolicyList) -> set[date]:
    dated = [*(v for item in one.items.values() for v in item.versions), *one.exclusions]
    return {d for x in dated for d in (x.valid_from, x.valid_to) if d}


def _conditions(one: PolicyList) -> Iterator[Condition]:
    for item in one.items.values():
        for version in item.versions:
            yield version.conditions
            yield from (t.conditions for t in version.tiers if t.conditions)
            yield from (case.conditions for case in (version.amount.cases if version.amount else ()))


def _ages(tests: Iterable[tuple[str, int]]) -> set[int]:
    """Every birthday on which some test changes its answer."""
    mins = {arg for name, arg in tests if name == "age_years_min"}
    return mins | {arg + 1 for name, arg in tests if name == "age_years_max"}


def _band_ages(lists: Iterable[PolicyList]) -> set[int]:
    amounts = (v.amount for one in lists for item in one.items.values() for v in item.versions)
    return {b.age_years_min for a in amounts if a for b in a.bands if b.age_years_min is not None}
