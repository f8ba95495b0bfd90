"""Which lists count where and when, and what they say about one kind of person – worked out once and remembered.

Whole populations share few worlds (an age band, an income class, a place …), so every answer is kept per world
and a person costs only the look-ups.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec
from common.codes import divisions
from common.events.entitlement import EntitlementState, ItemKind, PayTerms

from rules.conditions import ABILITY, AGE, HUKOU, RESIDENCE, World, evaluate, leaves, missing, slots_read
from rules.exclusions import apply_exclusions
from rules.policy import NATION, Amount, Condition, Exclusion, Follows, ItemPolicy, PolicyList, Version
from rules.timeline import FAR_FUTURE

_WORLDS_MAX = 20_000  # per slab; a list of ten items meets a few hundred
_AREAS_MAX = 200_000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says about an item for one world. `slots`: the parts of the world its conditions read."""

    item: str
    jurisdiction: str
    kind: ItemKind
    state: EntitlementState
    policy: str
    policy_status: Literal["documented", "example"]
    slots: tuple[int, ...]
    amount_fen_per_month: int | None = None
    pay: PayTerms | None = None
    tier: str | None = None
    interval_days: int | None = None
    suppressed_by: str | None = None
    missing_facts: tuple[str, ...] = ()


class Area(msgspec.Struct, frozen=True, eq=False):
    """The areas, nearest first, that hold a place and that some list names. One object per such chain."""

    codes: tuple[str, ...]


class Applicable(NamedTuple):
    """The version of an item that counts for somebody. `presumed`: the area it follows is unknown, so that the
    list of the person's other area only serves to ask."""

    item: ItemPolicy
    version: Version
    jurisdiction: str
    presumed: bool
    slots: tuple[int, ...]

    @property
    def policy(self) -> str:
        return f"{self.jurisdiction}/{self.item.item}@{self.version.valid_from.isoformat()}"

    @property
    def status(self) -> Literal["documented", "example"]:
        """Only as well documented as its weakest part; how it turns into months (`pay`) stands by itself."""
        v = self.version
        parts = [v.status, *([v.amount.status] if v.amount else []), *(t.status for t in v.tiers)]
        return "example" if "example" in parts else "documented"


class Slab:
    """What counts over [`start`, `end`) for people of one hukou and one residence."""

    def __init__(
        self,
        period: tuple[date, date],
        places: tuple[tuple[str, ...] | None, tuple[str, ...] | None],
        applicable: Iterable[Applicable],
        exclusions: Iterable[Exclusion],
    ) -> None:
        self.start, self.end = period
        self.hukou, self.residence = places
        self.applicable, self.exclusions = tuple(applicable), tuple(exclusions)
        self._known: dict[tuple[Any, ...], tuple[Outcome, ...]] = {}

    def world(self, rest: Sequence[Any]) -> World:
        """The world of somebody here: `rest` is what follows the two places in `World`."""
        return World(self.hukou, self.residence, *rest)

    def outcomes(self, key: tuple[Any, ...], one: dict[Outcome, Outcome]) -> tuple[Outcome, ...]:
        """Every item that is not refused, sorted by item. Equal outcomes are one object (kept in `one`).

        `key`: the rest of the world, and last whether a death is suspected.
        """
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _WORLDS_MAX:
                self._known.clear()
            found = self._known[key] = tuple(one.setdefault(o, o) for o in self._decide(key))
        return found

    def _decide(self, key: tuple[Any, ...]) -> list[Outcome]:
        *rest, death_suspected = key
        world = self.world(rest)
        decided = [outcome for a in self.applicable if (outcome := _outcome(a, world))]
        settled = apply_exclusions(decided, self.exclusions)
        return [_held(outcome) for outcome in settled] if death_suspected else settled


def _held(outcome: Outcome) -> Outcome:
    """Money waits while a death is suspected; services go on (visits become the check itself)."""
    if outcome.kind == "cash" and outcome.state == "granted":
        return msgspec.structs.replace(outcome, state="suspended")
    return outcome


def _outcome(a: Applicable, world: World) -> Outcome | None:
    holds = evaluate(a.version.conditions, world)
    if holds is False:
        return None
    asked = missing(a.version.conditions, world)
    if a.presumed:
        asked.add("registration" if a.item.follows == "hukou" else "residence")
    amount = None
    if a.version.amount and not asked:
        amount, lacking = _amount(a.version.amount, world)
        if amount is None and not lacking:
            return None  # the list names no amount for this person
        asked |= lacking
    if asked:
        return _described(a, state="unknown", missing_facts=tuple(sorted(asked)))
    tier = next((t for t in a.version.tiers if not t.conditions or evaluate(t.conditions, world)), None)
    return _described(
        a,
        state="granted",
        amount_fen_per_month=amount,
        pay=a.version.pay.terms() if a.version.pay else None,
        tier=tier.tier if tier else None,
        interval_days=tier.interval_days if tier else None,
    )


def _described(a: Applicable, **what: object) -> Outcome:
    return Outcome(
        item=a.item.item,
        jurisdiction=a.jurisdiction,
        kind=a.item.kind,
        policy=a.policy,
        policy_status=a.status,
        slots=a.slots,
        **what,  # type: ignore[arg-type]
    )


def _amount(amount: Amount, world: World) -> tuple[int | None, set[str]]:
    """Fen per month, or the facts that are missing to say it, or neither (no band fits)."""
    if amount.flat_fen is not None:
        return amount.flat_fen, set()
    by_age = amount.bands[0].age_years_min is not None
    reached = world.age if by_age else world.ability
    if reached is None:
        return None, {"registration" if by_age else "ability_result"}
    fits = None
    for band in amount.bands:
        least = band.age_years_min if by_age else band.ability_level_min
        if least is not None and least <= reached:
            fits = band.amount_fen
    return fits, set()


class Lists:
    """All lists in force, resolved for any two places. Not thread-safe; make a new one when a list changes."""

    def __init__(
        self,
        lists: Iterable[PolicyList],
        ancestors: Callable[[str], Sequence[str]] = divisions.ancestors,
    ) -> None:
        self.by_area = {one.jurisdiction: one for one in lists}
        self._ancestors = ancestors
        conditions = [c for one in self.by_area.values() for c in _conditions(one)]
        tests = [leaf for c in conditions for leaf in leaves(c)]
        self.ages = tuple(sorted(_ages(tests) | _band_ages(self.by_area.values())))
        self._named = {NATION, *self.by_area} | {
            area for name, areas in tests if name in ("hukou_in", "residence_in") for area in areas
        }
        self.first_day = min((d for one in self.by_area.values() for d in _dates(one)), default=FAR_FUTURE)
        self.outcomes: dict[Outcome, Outcome] = {}
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
            codes = (*(code for code in chain if code != NATION), NATION)
            found = self._area_of[division] = self._areas.setdefault(codes, Area(codes))
        return found

    def plan(self, hukou: Area | None, residence: Area | None) -> tuple[Slab, ...]:
        """What counts from the first policy date to the end of time, without gaps."""
        found = self._plans.get((hukou, residence))
        if found is None:
            found = self._plans[hukou, residence] = tuple(self._slabs(hukou, residence))
        return found

    def _slabs(self, hukou: Area | None, residence: Area | None) -> Iterator[Slab]:
        codes = {*(hukou.codes if hukou else ()), *(residence.codes if residence else ()), NATION}
        lists = [self.by_area[code] for code in codes if code in self.by_area]
        days = sorted({d for one in lists for d in _dates(one)})
        for start, end in zip(days, [*days[1:], FAR_FUTURE], strict=True):
            yield Slab(
                (start, end),
                (hukou.codes if hukou else None, residence.codes if residence else None),
                self._applicable(hukou, residence, start),
                self._rules(sorted(codes), start),
            )

    def _rules(self, codes: Sequence[str], day: date) -> list[Exclusion]:
        return [
            rule
            for code in codes
            if code in self.by_area
            for rule in self.by_area[code].exclusions
            if _in_force(rule, day)
        ]

    def _applicable(self, hukou: Area | None, residence: Area | None, day: date) -> Iterator[Applicable]:
        found: dict[str, Applicable] = {}
        sides: tuple[tuple[Follows, Area | None, Area | None], ...] = (
            ("hukou", hukou, residence),
            ("residence", residence, hukou),
        )
        for follows, own, other in sides:
            area = own or other
            named = self._nearest(area.codes if area else (NATION,), day)
            for item, version, jurisdiction in named:
                if item.follows == follows and item.item not in found:
                    slots = _slots(item, version)
                    found[item.item] = Applicable(item, version, jurisdiction, own is None, slots)
        return iter(found[name] for name in sorted(found))

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


def _ages(tests: Iterable[tuple[str, int]]) -> set[int]:
    """Every birthday on which some test changes its answer."""
    mins = {arg for name, arg in tests if name == "age_years_min"}
    return mins | {arg + 1 for name, arg in tests if name == "age_years_max"}


def _band_ages(lists: Iterable[PolicyList]) -> set[int]:
    amounts = (v.amount for one in lists for item in one.items.values() for v in item.versions)
    return {b.age_years_min for a in amounts if a for b in a.bands if b.age_years_min is not None}


def _slots(item: ItemPolicy, version: Version) -> tuple[int, ...]:
    read = slots_read(version.conditions) | {HUKOU if item.follows == "hukou" else RESIDENCE}
    for tier in version.tiers:
        read |= slots_read(tier.conditions) if tier.conditions else set()
    if version.amount and version.amount.bands:
        read.add(AGE if version.amount.bands[0].age_years_min is not None else ABILITY)
    return tuple(sorted(read))
