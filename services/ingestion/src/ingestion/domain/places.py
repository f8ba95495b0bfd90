"""Decides which places of a person are vouched, and which are only claimed. The rule is in docs/standing.md.

A *place* is a hukou or a residence. The first hukou is vouched; until one is known, the first residence is. A later
place is vouched in one of four cases. (1) It lies in the county of a vouched place. (2) Its source belongs to the
person by another place. (3) Such a source closed an earlier place at about the time when this one begins. (4) The
county left has confirmed the place or has not objected. Other places are claimed, if they lie in their source's areas.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Self

from common.codes import divisions

from ingestion.domain.pushed import Source

Ruling = Literal["confirmed", "silent"]
PlaceState = Literal["vouched", "silent", "claimed", "outside"]
NOTHING: Final[frozenset[str]] = frozenset()


class Place(NamedTuple):
    """A place after all statements of its chain. `chain`: the id of the first statement.

    `division` is resolved (`located`). `closed_on`: the first day without the place, if its source named one.
    `ruling`: the decision of the county left."""

    chain: str
    hukou: bool
    division: str
    source: Source
    from_: date | None = None
    closed_on: date | None = None
    ruling: Ruling | None = None

    @property
    def own(self) -> bool:
        """Whether the place lies in the areas of its source."""
        return lies_in(self.division, self.source.areas)

    @property
    def is_certain(self) -> bool:
        """Whether the place may be accepted by itself: it is `own`, or the county left has confirmed it."""
        return self.own or self.ruling == "confirmed"

    def closed_near(self, other: Self, span: timedelta) -> bool:
        """Whether this place was closed around the day on which the other one begins."""
        if self.closed_on is None or other.from_ is None:
            return False
        return abs(self.closed_on - other.from_) <= span

    def could_follow(self, other: Self) -> bool:
        """Whether this place is of the same kind as the other one and began later, as far as known."""
        if self.hukou != other.hukou or self.from_ is None:
            return False
        return self.chain != other.chain and (other.from_ is None or other.from_ < self.from_)


class Judged(NamedTuple):
    """The result for the places of a person.

    `strong`: vouched divisions. `weak`: these and the divisions vouched by silence. `states`: by chain; a place in
    state `outside` is not accepted. `seed`: the chain of the first vouched place; `seed_is_hukou`: whether a hukou is
    known."""

    strong: frozenset[str]
    weak: frozenset[str]
    states: dict[str, PlaceState]
    seed: str | None
    seed_is_hukou: bool

    @property
    def seed_rank(self) -> int:
        """The value of `StandingState.seed`: 2 if a hukou is known, 1 if only a first residence is vouched, else 0."""
        if self.seed_is_hukou:
            return 2
        return 1 if self.seed else 0


@lru_cache(maxsize=65536)
def closure(code: str) -> frozenset[str]:
    """The area itself and all areas above it."""
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
    """The county of a division (or the nearest area with six digits above it), under its newest code.

    For an area above all counties, the result is the area itself."""
    above = (code, *divisions.ancestors(code))
    return _newest_code(next((c for c in above if len(c) == divisions.COUNTY_DIGITS), code))


def _newest_code(code: str) -> str:
    division = divisions.get(code)
    while division is not None and division.valid_to is not None and division.becomes is not None:
        code = division.becomes
        division = divisions.get(code)
    return code


def located(code: str, source: Source) -> str:
    """The division; or the area of the source, if no source could belong to a person by this division.

    These are the divisions outside the areas of the source whose county is abolished without a known successor."""
    lost = _is_abolished(county_of(code)) and not lies_in(code, source.areas)
    return source.area if lost else code


def _is_abolished(code: str) -> bool:
    division = divisions.get(code)
    return division is not None and division.valid_to is not None


def judge(places: Sequence[Place], closing_days: int, given: frozenset[str] = NOTHING) -> Judged:
    """Judge the places of a person, given in the order in which they were learnt.

    `given`: vouched divisions of other identities of the same human. `closing_days`: the most days between the closing
    of a place and the beginning of the next one."""
    judgement = _Judgement(closing_days, given)
    for place in places:
        judgement.add(place)
    return judgement.result()


class _Judgement:
    """Accepts places one after another. The *seed* is the first vouched place.

    If the first accepted hukou lies in its source's areas, or officers have confirmed it, it becomes the seed, and all
    places are tested again. If not, its source belongs by an earlier place, which stays the seed."""

    def __init__(self, closing_days: int, given: frozenset[str]) -> None:
        self._span = timedelta(days=closing_days)
        self._given = given
        self._places: list[Place] = []
        self._accepted: dict[str, Place] = {}
        self._seed: Place | None = None
        self._hukou_known = False
        self._weak: dict[str, Place] = {}
        self._explaining: dict[bool, list[Place]] = {}  # by `silence`; empty while places are added

    def add(self, place: Place) -> None:
        """Add a place, and accept every place that may now be accepted."""
        self._places.append(place)
        while (acceptable := self._next_acceptable()) is not None:
            self._accept(acceptable)

    def result(self) -> Judged:
        """Accept all places again together, and return the result. A later place can change the effect of a closing."""
        if self._seed is not None:
            self._accept_together()
        strong = self._vouched(silence=False)
        states = {place.chain: self._state(place, strong) for place in self._places}
        seed = self._seed.chain if self._seed else None
        return Judged(self._divisions(strong), self._divisions(self._weak), states, seed, self._hukou_known)

    def _state(self, place: Place, strong: Mapping[str, Place]) -> PlaceState:
        if place.chain not in self._accepted:
            return "outside"
        if place.chain in strong:
            return "vouched"
        return "silent" if place.chain in self._weak else "claimed"

    # ── accepted places ─────────────────────────────────────────────────────────────────────────────────────

    def _next_acceptable(self) -> Place | None:
        for place in self._places:
            if place.chain not in self._accepted and self._is_acceptable(place):
                return place
        return None

    def _is_acceptable(self, place: Place) -> bool:
        return place.is_certain or belongs(place.source, self._divisions(self._weak))

    def _accept(self, place: Place) -> None:
        first_hukou = place.hukou and not self._hukou_known
        if first_hukou and place.is_certain:
            self._accepted = {}  # places that were accepted because of a first residence are tested again
            self._seed = place
        self._seed = self._seed or place
        self._hukou_known = self._hukou_known or place.hukou
        self._accepted[place.chain] = place
        self._weak = self._vouched(silence=True)

    def _accept_together(self) -> None:
        """Accept all places again: first without the rule about closings, then with it.

        Only places that are accepted without that rule explain a closing. So no place takes back its own acceptance."""
        self._accepted = {}
        self._accept_all(self._vouched_without_closing)
        for silence in (False, True):
            self._explaining[silence] = list(self._vouched_without_closing(silence=silence).values())
        self._accept_all(self._vouched)

    def _accept_all(self, rule: Callable[..., dict[str, Place]]) -> None:
        """Accept places until no further one is acceptable. `rule`: which of them are vouched."""
        self._weak = rule(silence=True)
        while more := self._all_acceptable():
            self._accepted |= more
            self._weak = rule(silence=True)

    def _all_acceptable(self) -> dict[str, Place]:
        new = [p for p in self._places if p.chain not in self._accepted]
        return {p.chain: p for p in new if self._is_acceptable(p)}

    def _divisions(self, vouched: Mapping[str, Place]) -> frozenset[str]:
        return frozenset(p.division for p in vouched.values()) | self._given

    # ── vouched places ──────────────────────────────────────────────────────────────────────────────────────

    def _vouched_without_closing(self, *, silence: bool) -> dict[str, Place]:
        """The vouched places by chain, without the rule about closings: the seed, confirmed places, and all places that
        follow from these. `silence`: places vouched by silence are included."""
        rulings = ("confirmed", "silent") if silence else ("confirmed",)
        found = {chain: p for chain, p in self._accepted.items() if p is self._seed or p.ruling in rulings}
        self._grow(found, self._follows)
        return found

    def _vouched(self, *, silence: bool) -> dict[str, Place]:
        """The vouched places by chain, also those that follow by a closing. `silence`: as above."""
        found = self._vouched_without_closing(silence=silence)
        without_closing = self._explaining.get(silence, list(found.values()))
        self._grow(found, lambda place, vouched: self._follows_by_closing(place, vouched, without_closing))
        return found

    def _grow(self, found: dict[str, Place], follows: Callable[[Place, dict[str, Place]], bool]) -> None:
        """Add accepted places to `found` until no further place follows from it."""
        changed = True
        while changed:
            changed = False
            for place in self._accepted.values():
                if place.chain not in found and follows(place, found):
                    found[place.chain] = place
                    changed = True

    def _follows(self, place: Place, vouched: Mapping[str, Place]) -> bool:
        """Whether the county of the place is vouched, or its source belongs."""
        known = self._divisions(vouched)
        return county_of(place.division) in map(county_of, known) or belongs(place.source, known)

    def _follows_by_closing(self, place: Place, vouched: Mapping[str, Place], without_closing: Sequence[Place]) -> bool:
        """Whether the place follows, also by the closing of a vouched place. `without_closing`: see `_explained`."""
        if self._follows(place, vouched):
            return True
        known = self._divisions(vouched)
        closed = [p for p in vouched.values() if p.closed_near(place, self._span) and belongs(p.source, known)]
        return any(not self._explained(before, place, without_closing) for before in closed)

    def _explained(self, before: Place, place: Place, without_closing: Sequence[Place]) -> bool:
        """Whether another place explains the closing of `before`: the person moved there, not to `place`.

        `without_closing`: the places that are vouched without the rule about closings."""
        assert before.closed_on is not None
        assert place.from_ is not None
        earliest, latest = before.closed_on - self._span, max(place.from_, before.closed_on)
        moves = [other.from_ for other in without_closing if other.could_follow(before)]
        return any(day is not None and earliest <= day <= latest for day in moves)
