"""Which places of a person are vouched, and which are only claimed. Pure; the rule is in docs/standing.md.

A *place* is a hukou or a residence. The first hukou is vouched; until one is known, the first residence is. A later
place is vouched when it lies in the county of a vouched place, when its source already belongs to the person by
another place, when such a source has closed an earlier place around the day on which the later one begins, or when the
county left has confirmed it or kept silent. Other places are claimed, if they lie in the areas of their source.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from common.codes import divisions

from ingestion.domain.pushed import Source

Ruling = Literal["confirmed", "silent"]
PlaceState = Literal["vouched", "silent", "claimed", "outside"]
NOTHING: Final[frozenset[str]] = frozenset()


class Place(NamedTuple):
    """A place as its chain states it now.

    `division` is resolved (`located`). `closed_on`: the first day without it, where its source named one.
    `ruling`: what the county left has decided about it."""

    chain: str
    hukou: bool
    division: str
    source: Source
    from_: date | None = None
    closed_on: date | None = None
    ruling: Ruling | None = None

    @property
    def own(self) -> bool:
        """Whether it lies in the areas of its source."""
        return lies_in(self.division, self.source.areas)


class Judged(NamedTuple):
    """`strong`: vouched divisions; `weak`: those and the ones vouched by silence. `states` by chain; a place that is
    `outside` may not be taken. `seed`: the chain with which everything begins, and whether it is a hukou."""

    strong: frozenset[str]
    weak: frozenset[str]
    states: dict[str, PlaceState]
    seed: str | None
    seed_is_hukou: bool


@lru_cache(maxsize=65536)
def closure(code: str) -> frozenset[str]:
    """The area and all areas above it."""
    return frozenset((code, *divisions.ancestors(code)))


def lies_in(code: str, areas: Iterable[str]) -> bool:
    """Whether a division lies in one of these areas."""
    above = closure(code)
    return any(area in above for area in areas)


def belongs(source: Source, vouched: Collection[str]) -> bool:
    """Whether the areas of a source contain one of these divisions. The nation contains every division."""
    return any(lies_in(code, source.areas) for code in vouched) or (bool(vouched) and divisions.NATION in source.areas)


@lru_cache(maxsize=65536)
def county_of(code: str) -> str:
    """The county of a division, or the nearest area with six digits above it; a renumbered one under its newest code.
    An area above all counties stands for itself."""
    six = next((c for c in (code, *divisions.ancestors(code)) if len(c) == divisions.COUNTY_DIGITS), code)
    division = divisions.get(six)
    while division is not None and division.valid_to is not None and division.becomes is not None:
        six = division.becomes
        division = divisions.get(six)
    return six


def located(code: str, source: Source) -> str:
    """The division itself; for an abolished code without a known successor, the area of the source that names it.
    Nobody could belong to a person by such a code."""
    county = divisions.get(county_of(code))
    lost = county is not None and county.valid_to is not None and not lies_in(code, source.areas)
    return source.area if lost else code


def judge(places: Sequence[Place], closing_days: int, given: frozenset[str] = NOTHING) -> Judged:
    """Judge `places`, given in the order in which they were learnt. `given`: vouched divisions of other identities of
    the same human. `closing_days`: how far a closing may lie from the beginning of the next place."""
    court = _Court(closing_days, given)
    for place in places:
        court.hear(place)
    return court.verdict()


class _Court:
    """Places are heard one after another. A first hukou in the areas of its source starts everything anew. A first
    hukou elsewhere rests on the residence by which its source belongs, so that residence stays vouched."""

    def __init__(self, closing_days: int, given: frozenset[str]) -> None:
        self._span = timedelta(days=closing_days)
        self._given = given
        self._heard: list[Place] = []
        self._taken: dict[str, Place] = {}
        self._seed: Place | None = None
        self._hukou_known = False
        self._weak: dict[str, Place] = {}

    def hear(self, place: Place) -> None:
        self._heard.append(place)
        self._settle()

    def verdict(self) -> Judged:
        strong = self._vouched(silence=False)
        states: dict[str, PlaceState] = {}
        for place in self._heard:
            if place.chain not in self._taken:
                states[place.chain] = "outside"
            elif place.chain in strong:
                states[place.chain] = "vouched"
            else:
                states[place.chain] = "silent" if place.chain in self._weak else "claimed"
        return Judged(
            frozenset(p.division for p in strong.values()) | self._given,
            frozenset(p.division for p in self._weak.values()) | self._given,
            states,
            self._seed.chain if self._seed else None,
            self._hukou_known,
        )

    def _settle(self) -> None:
        """Take what may be taken, until nothing more may."""
        changed = True
        while changed:
            changed = False
            for place in self._heard:
                if place.chain in self._taken or not self._may_be_taken(place):
                    continue
                changed = True
                first_hukou = place.hukou and not self._hukou_known
                self._hukou_known = self._hukou_known or place.hukou
                if first_hukou and (place.own or place.ruling == "confirmed"):
                    self._taken = {}  # what was taken on the word of a first residence is heard again
                    self._seed = place
                elif self._seed is None:
                    self._seed = place
                self._taken[place.chain] = place
                self._weak = self._vouched(silence=True)
                break

    def _may_be_taken(self, place: Place) -> bool:
        if place.own or place.ruling == "confirmed":
            return True
        return belongs(place.source, self._known(self._weak))

    def _known(self, vouched: dict[str, Place], but: str | None = None) -> set[str]:
        return {p.division for p in vouched.values() if p.chain != but} | self._given

    def _vouched(self, *, silence: bool) -> dict[str, Place]:
        """The places that are vouched, by chain: the smallest set that contains the seed and what follows from it."""
        rulings = ("confirmed", "silent") if silence else ("confirmed",)
        found = {c: p for c, p in self._taken.items() if p is self._seed or p.ruling in rulings}
        self._grow(found, self._follows)
        known_otherwise = list(found.values())
        self._grow(found, lambda place, vouched: self._follows(place, vouched, known_otherwise))
        return found

    def _grow(self, found: dict[str, Place], follows: Callable[[Place, dict[str, Place]], bool]) -> None:
        changed = True
        while changed:
            changed = False
            for place in self._taken.values():
                if place.chain not in found and follows(place, found):
                    found[place.chain] = place
                    changed = True

    def _follows(self, place: Place, vouched: dict[str, Place], known_otherwise: Sequence[Place] | None = None) -> bool:
        """`known_otherwise`: the places that are vouched without a closing; None: closings are not looked at."""
        known = self._known(vouched)
        if county_of(place.division) in {county_of(code) for code in known}:
            return True
        if belongs(place.source, known):
            return True
        if known_otherwise is None:
            return False
        return any(self._closed_for(place, before, known, known_otherwise) for before in vouched.values())

    def _closed_for(self, place: Place, before: Place, known: set[str], known_otherwise: Sequence[Place]) -> bool:
        """Whether a source that belongs has closed `before` around the day on which `place` begins.

        It has not if another known place explains the closing: then the person has moved there, and `before` is not
        the place before this one."""
        if before.closed_on is None or place.from_ is None or not belongs(before.source, known):
            return False
        if abs(before.closed_on - place.from_) > self._span:
            return False
        latest = max(place.from_, before.closed_on)
        return not any(
            other.chain != before.chain
            and other.hukou == before.hukou
            and other.from_ is not None
            and before.closed_on - self._span <= other.from_ <= latest
            and (before.from_ is None or before.from_ < other.from_)
            for other in known_otherwise
        )
