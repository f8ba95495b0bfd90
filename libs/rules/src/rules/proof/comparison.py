"""Compare items under two sets of lists, for every person and every day, for `rules.proof.inclusion`.

The child is the list whose proof is made. The parent is the list above it that counts without the child. A narrowing
is a way in which the child's answer gives less than the parent's answer.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from rules.deciding.areas import Ancestors
from rules.deciding.conditions import Answer, compiled, leaves_of_list
from rules.deciding.lists import Lists, days_of_change
from rules.deciding.segment import Segment
from rules.facts.coverage import ANSWERING, Coverage
from rules.facts.timeline import FAR_FUTURE
from rules.form.bounds import Deviation, Narrowing
from rules.form.period import edges, in_force
from rules.form.policy import Condition, PolicyList
from rules.form.situation import AGE, HUKOU, KINDS_AT_HUKOU, PLACE, RESIDENCE, TEST, Situation
from rules.proof.cells import Cells, cells
from rules.proof.place_pairs import PlacePairs, Places
from rules.proof.shortfall import Side, narrowings

CASES_MAX: Final = 400_000  # some seconds; the lists in force need a few thousand per item
Less = tuple[Narrowing, Side, Side]  # narrowing, the parent's answer, the child's answer
Judgement = Callable[[tuple[Any, ...]], Iterable[Less]]  # from the values of the circumstances of REST
Judge = Callable[..., Judgement | None]  # from one segment of each set of lists; None: nothing can be less there
Key = tuple[str, Narrowing, str, Deviation | None]  # item, narrowing, area of the parent, deviation that allows it


class TooManyCases(Exception):
    """The conditions of an item distinguish more cases than the proof can check."""


class Found(NamedTuple):
    """A person who gets less, with as few known values as possible.

    `order`: (number of known values, position of the case); smaller is simpler. `parent`, `child`: the two answers.
    """

    order: tuple[int, int]
    places: Places
    situation: Situation
    parent: Side
    child: Side


class _Allowance(NamedTuple):
    """A deviation with the functions that tell whether it concerns a person.

    `concerns`: a missing fact has its usual meaning. `with_doubt`: a missing fact of an unreported kind means unknown.
    """

    deviation: Deviation
    concerns: Answer
    with_doubt: Answer | None = None

    def allows(self, item: str, code: Narrowing, situation: Situation) -> bool:
        """Whether the deviation allows the narrowing `code` of an item for a person.

        If the list may refuse a person, it need not ask about this person. If it is unknown whether the list may
        refuse a person, the list may ask.
        """
        deviation = self.deviation
        if deviation.item != item or not self.concerns(situation):
            return False
        if code in deviation.narrows:
            return True
        may_ask = code == "asks_more" and self.with_doubt is not None and self.with_doubt(situation) is None
        return "refused" in deviation.narrows and (code == "not_asked" or may_ask)


class Comparison:
    """A comparison of some items under several sets of lists. `narrower` runs it.

    `sides`: sets of lists, the first without the child, the second with it. `judge` gets a segment of each side.
    `tests`: further tests that distinguish persons. `coverage`: for all sides. `floor`: whether the first side is a
    floor.
    """

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
        self.items, self.child, self.floor, self._judge = items, child.jurisdiction, floor, judge
        self._coverage = coverage
        self._sides = [Lists(side, ancestors, coverage) for side in sides]
        lists = [one for side in sides for one in side]
        # The first deviation that fits is named: a signed one before an example.
        deviations = sorted((d for d in child.deviations if d.item in items), key=lambda d: d.is_example)
        self._allowances = [_Allowance(d, compiled(d.people) if d.people else _everybody) for d in deviations]
        self.tests = tuple(dict.fromkeys([*tests, *_leaves(lists, deviations)]))
        kinds = {TEST[test.test].kind for test in self.tests}
        self._kinds = frozenset(kinds & ANSWERING if coverage.declared else ())
        self._pairs = self._place_pairs(lists, ancestors)
        self._days = self._pairs.days(days_of_change(*lists) | edges(deviations))

    def _place_pairs(self, lists: Sequence[PolicyList], ancestors: Ancestors) -> PlacePairs:
        areas = {area for test in self.tests for area in test.areas}
        return PlacePairs(
            self.child,
            ancestors,
            self._coverage,
            named={self.child, *(one.jurisdiction for one in lists), *areas},
            read=_places_read(lists, self.tests, self._kinds),
            kinds=self._kinds,
        )

    def narrower(self) -> Iterator[tuple[date, date, Key, Found]]:
        """Yield (first day, end, key, person) for every period over which some persons get less. The person is one of
        them. Raises TooManyCases."""
        people = cells(self.tests, self._kinds)
        places = {day: list(self._pairs.on(day)) for day in self._days}
        if people.cases * sum(map(len, places.values())) > CASES_MAX:
            raise TooManyCases
        open_: dict[Key, tuple[date, Found]] = {}
        for day in self._days:
            found = self._simplest(day, people, places[day])
            for key, (start, simplest) in open_.items():
                if key not in found:
                    yield start, day, key, simplest
            open_ = {key: open_.get(key, (day, simplest)) for key, simplest in found.items()}
        for key, (start, simplest) in open_.items():
            yield start, FAR_FUTURE, key, simplest

    def _simplest(self, day: date, people: Cells, places: Iterable[Places]) -> dict[Key, Found]:
        """Return for each key that occurs on a day the person with the fewest known values."""
        best: dict[Key, Found] = {}
        for at in places:
            segments = [_segment(lists, at, day) for lists in self._sides]
            judgement = self._judge(*segments)
            if judgement is None:
                continue
            allowances = self._allowances_on(day, segments[1])
            for order, rest in enumerate(people.situations()):
                if not _can_be(at, rest, people):
                    continue
                for code, parent, child in judgement(rest):
                    situation = segments[1].situation(rest)
                    key = _key(code, parent, situation, allowances)
                    known = sum(value is not None for value in (*at, *rest))
                    if key not in best or (known, order) < best[key].order:
                        best[key] = Found((known, order), at, situation, parent, child)
        return {key: found for key, found in best.items() if not _follows_from_refusal(key, best)}

    def _allowances_on(self, day: date, child: Segment) -> list[_Allowance]:
        """Return the deviations that are in force on a day. `child`: the segment with the child."""
        allowances = [a for a in self._allowances if in_force(a.deviation, day)]
        unreported = self._coverage.unreported(child.where, day, self._kinds)
        if not unreported:
            return allowances
        return [
            a._replace(with_doubt=compiled(a.deviation.people, unreported)) if a.deviation.people else a
            for a in allowances
        ]


def _key(code: Narrowing, parent: Side, situation: Situation, allowances: Iterable[_Allowance]) -> Key:
    """Return the key of a narrowing, with the first deviation that allows it."""
    assert parent.applicable
    item = parent.applicable.item.item
    deviation = next((a.deviation for a in allowances if a.allows(item, code, situation)), None)
    return item, code, parent.applicable.jurisdiction, deviation


def _follows_from_refusal(key: Key, found: Collection[Key]) -> bool:
    """Whether a narrowing `not_asked` follows from a refusal in `found`. Then only the refusal is shown.

    A list that refuses some persons does not ask for facts about similar persons.
    """
    item, code, *rest = key
    return code == "not_asked" and (item, "refused", *rest) in found


def _leaves(lists: Iterable[PolicyList], deviations: Iterable[Deviation]) -> Iterator[Condition]:
    for one in lists:
        yield from leaves_of_list(one)
    for deviation in deviations:
        if deviation.people:
            yield from deviation.people.leaves()


def _places_read(lists: Iterable[PolicyList], tests: Iterable[Condition], kinds: Iterable[str]) -> set[int]:
    """Return the slots of the places that make a difference: hukou, residence, kind of place."""
    read = {HUKOU if item.follows == "hukou" else RESIDENCE for one in lists for item in one.items.values()}
    read |= {TEST[test.test].slot for test in tests} & {HUKOU, RESIDENCE, PLACE}
    return read | {HUKOU if kind in KINDS_AT_HUKOU else RESIDENCE for kind in kinds}


def _everybody(_: Situation) -> bool:
    return True


def judge_item(above: Segment, below: Segment, *, floor: bool = False) -> Judgement | None:
    """Return the judgement of one item, before the rules between items. None: nothing can be less.

    `above`, `below`: segments without and with the child. `floor`: whether `above` is a floor.
    """
    had, has = next(iter(above.applicable), None), next(iter(below.applicable), None)
    if had is None or (has and (has.version, has.jurisdiction) == (had.version, had.jurisdiction)):
        return None  # nothing to keep, or inherited unchanged

    def judgement(rest: tuple[Any, ...]) -> Iterator[Less]:
        parent = Side(had, had.outcome(above.situation(rest)))
        child = Side(has, has.outcome(below.situation(rest)) if has else None)
        return ((code, parent, child) for code in narrowings(parent, child, floor=floor))

    return judgement


def _segment(lists: Lists, at: Places, day: date) -> Segment:
    """Return the segment of two places on a day. Before the first policy date it has no items."""
    hukou, residence = (lists.area(place) if place else None for place in at)
    if found := lists.segment(hukou, residence, day):
        return found
    places = hukou.codes if hukou else None, residence.codes if residence else None
    return Segment((date.min, date.max), places, (), ())


def _can_be(at: Places, rest: Sequence[Any], people: Cells) -> bool:
    """Whether a person can have these places and values together.

    A registration gives hukou and birth date, so a hukou without an age is impossible. A residence gives both division
    and kind of place.
    """
    age, place = rest[0], rest[PLACE - AGE]
    if at[0] is not None and age is None and len(people.axes[0]) > 1:
        return False
    return len(people.axes[PLACE - AGE]) == 1 or (at[1] is None) == (place is None)
