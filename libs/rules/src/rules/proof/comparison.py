"""Items under two sets of lists, looked at for everybody and every day. What `rules.proof.inclusion` rests on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple, Protocol

from rules.deciding.conditions import AGE, HUKOU, PLACE, RESIDENCE, TEST, Answer, World, compiled
from rules.deciding.lists import Lists, Slab
from rules.facts.coverage import ANSWERING, AT_HUKOU, Coverage, Where
from rules.facts.timeline import FAR_FUTURE
from rules.form.bounds import Deviation, Narrowing
from rules.form.policy import NATION, Condition, PolicyList
from rules.proof.cells import Cells, cells, leaves_of, leaves_of_version
from rules.proof.shortfall import Side, narrowings

CASES_MAX: Final = 400_000  # some seconds; the lists in force need a few thousand an item
Ancestors = Callable[[str], Sequence[str]]
Places = tuple[str | None, str | None]  # divisions of hukou and residence, None: not known
Less = tuple[Narrowing, Side, Side]  # how the child's answer is less, the parent's, the child's
Judgement = Callable[[tuple[Any, ...]], Iterable[Less]]  # of a world behind its two places
Judge = Callable[..., Judgement | None]  # of one slab of each set of lists; None: nothing can be less there
Key = tuple[str, Narrowing, str, Deviation | None]  # item, how it is less, than which area's list, what allows it


class TooManyCases(Exception):
    """An item whose conditions tell more cases apart than can be looked at."""


class Found(NamedTuple):
    """The person with the least known about them who gets less. `order`: smaller is simpler."""

    order: tuple[int, int]
    places: Places
    world: World
    parent: Side
    child: Side


class _Dated(Protocol):
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


class Comparison:
    """`sides`: sets of lists, the first without the child's list, the second with it; `judge` gets a slab of each.
    `tests`: what else tells people apart. `coverage`: what is told where, the same for all sides."""

    def __init__(
        self,
        items: Sequence[str],
        sides: Sequence[Sequence[PolicyList]],
        judge: Judge,
        *,
        child: PolicyList,
        ancestors: Ancestors,
        coverage: Coverage,
        floor: bool = False,
        tests: Sequence[Condition] = (),
    ) -> None:
        self.floor = floor  # only for who tells of it
        self.items, self.child, self._judge, self._ancestors = items, child.jurisdiction, judge, ancestors
        self._sides = [Lists(side, ancestors, coverage) for side in sides]
        self._coverage = coverage
        policies = [item for side in sides for one in side for item in one.items.values()]
        versions = [version for policy in policies for version in policy.versions]
        rules = [rule for side in sides for one in side for rule in one.exclusions]
        # The first that fits is named: one that somebody signed before an example.
        deviations = sorted((d for d in child.deviations if d.item in items), key=lambda d: d.is_example)
        self._allowed = [(d, compiled(d.people) if d.people else _anybody) for d in deviations]
        tests = [*tests, *(t for version in versions for t in leaves_of_version(version))]
        self.tests = tuple(dict.fromkeys(tests + [t for d in deviations if d.people for t in leaves_of(d.people)]))
        self._kinds = frozenset({TEST[test.test].kind for test in self.tests} & ANSWERING if coverage.declared else ())
        self._places_read = {HUKOU if policy.follows == "hukou" else RESIDENCE for policy in policies}
        self._places_read |= {TEST[test.test].slot for test in self.tests} & {HUKOU, RESIDENCE, PLACE}
        self._places_read |= {HUKOU if kind in AT_HUKOU else RESIDENCE for kind in self._kinds}
        self._named = {self.child, *(area for lists in self._sides for area in lists.by_area), *_areas(self.tests)}
        dated: list[_Dated] = [*versions, *rules, *deviations]
        self._days = self._stretches({d for x in dated for d in (x.valid_from, x.valid_to) if d})

    def narrower(self) -> Iterator[tuple[date, date, Key, Found]]:
        """Every stretch of days over which some people get less, with one of them. Raises TooManyCases."""
        people, places = cells(self.tests, self._kinds), {day: list(self._places(day)) for day in self._days}
        if people.cases * sum(map(len, places.values())) > CASES_MAX:
            raise TooManyCases
        open_: dict[Key, tuple[date, Found]] = {}
        for start in self._days:
            found = self._simplest(start, people, places[start])
            for key in open_.keys() - found.keys():
                yield open_[key][0], start, key, open_[key][1]
            open_ = {key: open_.get(key, (start, simplest)) for key, simplest in found.items()}
        for key, (start, simplest) in open_.items():
            yield start, FAR_FUTURE, key, simplest

    def _simplest(self, day: date, people: Cells, places: Iterable[Places]) -> dict[Key, Found]:
        """Of every kind of narrowing on a day the person of whom least needs to be known."""
        best: dict[Key, Found] = {}
        allowed = [(d, whom) for d, whom in self._allowed if in_force(d, day)]
        for at in places:
            slabs = [_slab(lists, at, day) for lists in self._sides]
            judgement = self._judge(*slabs)
            if judgement is None:
                continue
            untold = self._coverage.untold(slabs[1].where, day, self._kinds)
            doubts = {d: compiled(d.people, untold) for d, _ in allowed if d.people} if untold else {}
            for order, rest in enumerate(people.worlds()):
                if not _can_be(at, rest, people):
                    continue
                for code, parent, child in judgement(rest):
                    assert parent.applicable
                    item, world = parent.applicable.item.item, slabs[1].world(rest)
                    fits = (
                        d for d, whom in allowed if d.item == item and whom(world) and _allows(d, code, doubts, world)
                    )
                    key = item, code, parent.applicable.jurisdiction, next(fits, None)
                    found = Found((sum(x is not None for x in (*at, *rest)), order), at, world, parent, child)
                    if key not in best or found.order < best[key].order:
                        best[key] = found
        # Not to ask about somebody is the shadow of refusing somebody like them.
        return {k: v for k, v in best.items() if k[1] != "not_asked" or (k[0], "refused", *k[2:]) not in best}

    def _stretches(self, days: set[date]) -> list[date]:
        """The days on which a list, or what is told somewhere, begins to be another."""
        told = {day for day in self._coverage.all_days(self._kinds) if days and day > min(days)} - days
        found, before = list[date](), set[Any]()
        for day in sorted(days | told):
            now = self._told_apart(day).keys() if told else set()
            if day in days or now != before:
                found.append(day)
            before = set(now)
        return found

    def _told_apart(self, day: date) -> dict[Any, str]:
        """A division for each kind of place: places differ only by the nearest area that is named, and by what is told
        there."""
        found: dict[Any, str] = {}
        for code in (*sorted(self._named), *(sorted(self._coverage.declared) if self._kinds else ())):
            codes = (code, *self._ancestors(code), NATION)
            near = next((c for c in codes if c in self._named), NATION)
            found.setdefault((near, self._coverage.untold(Where(codes, codes), day, self._kinds)), code)
        return found

    def _places(self, day: date) -> Iterator[Places]:
        """A hukou and a residence of every kind of person for whom the child's list may count: everybody else is
        decided alike with and without it."""
        read = self._places_read | ({RESIDENCE} if PLACE in self._places_read else set())
        kinds = self._told_apart(day).values()
        sides = [[None, *(sorted(kinds) if slot in read else [self.child])] for slot in (HUKOU, RESIDENCE)]
        for hukou in sides[0]:
            for residence in sides[1]:
                both = hukou is not None and residence is not None
                if (self._within(hukou) or self._within(residence)) and not (both and not {HUKOU, RESIDENCE} <= read):
                    yield hukou, residence

    def _within(self, place: str | None) -> bool:
        return place is not None and (place == self.child or self.child in self._ancestors(place))


def _allows(deviation: Deviation, code: Narrowing, doubts: Mapping[Deviation, Answer], world: World) -> bool:
    """Whoever may be refused need not be asked either; and where nobody tells who may be, they may be asked."""
    if code in deviation.narrows:
        return True
    asked = code == "asks_more" and deviation in doubts and doubts[deviation](world) is None
    return "refused" in deviation.narrows and (code == "not_asked" or asked)


def _anybody(_: World) -> bool:
    return True


def judge_item(above: Slab, below: Slab, *, floor: bool = False) -> Judgement | None:
    """One item, whatever the rules between items make of it."""
    had, has = next(iter(above.applicable), None), next(iter(below.applicable), None)
    if had is None or (has and (has.version, has.jurisdiction) == (had.version, had.jurisdiction)):
        return None  # nothing to keep, or inherited as it is

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        parent = Side(had, had.outcome(above.world(rest)))
        child = Side(has, has.outcome(below.world(rest)) if has else None)
        return ((code, parent, child) for code in narrowings(parent, child, floor=floor))

    return judgement


def _slab(lists: Lists, at: Places, day: date) -> Slab:
    """What counts for somebody on a day; before the first policy date nothing does."""
    hukou, residence = (lists.area(place) if place else None for place in at)
    if found := lists.slab(hukou, residence, day):
        return found
    nothing = hukou.codes if hukou else None, residence.codes if residence else None
    return Slab((date.min, date.max), nothing, (), ())


def _can_be(at: Places, rest: Sequence[Any], people: Cells) -> bool:
    """A registration tells the hukou and the birth date, a residence the division and the kind of place."""
    age, place = rest[0], rest[PLACE - AGE]
    if at[0] is not None and age is None and len(people.axes[0]) > 1:
        return False
    return len(people.axes[PLACE - AGE]) == 1 or (at[1] is None) == (place is None)


def _areas(tests: Iterable[Condition]) -> Iterator[str]:
    for test in tests:
        yield from test.hukou_in or test.residence_in or ()


def in_force(dated: _Dated, day: date) -> bool:
    return dated.valid_from <= day and (dated.valid_to is None or day < dated.valid_to)
