"""What one version of an item says about one kind of person, worked out once per kind."""

from collections.abc import Callable, Collection, Iterator
from operator import itemgetter
from typing import Any, Literal

import msgspec
from common.events.entitlement import EntitlementState, ItemKind, PayTerms

from rules.deciding.conditions import ABILITY, AGE, HUKOU, RESIDENCE, World, compiled, kinds_read, missing, slots_read
from rules.form.policy import Amount, Condition, ItemPolicy, Status, Version

_KNOWN_MAX = 20_000  # kinds of people remembered per item version


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`slots`: the parts of the world that the item's conditions read."""

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
    reverify_months: int | None = None
    suppressed_by: str | None = None
    missing_facts: tuple[str, ...] = ()

    @property
    def unset(self) -> bool:
        """Granted to this person, but no list says how much: a right without money, so far."""
        return self.kind == "cash" and self.amount_fen_per_month is None and self.state != "unknown"

    @property
    def given(self) -> bool:
        """Something is had. Held money counts: a suspicion must not let another item move in."""
        return self.state in ("granted", "suspended") and not self.unset


_NOT_YET: Any = object()  # None is an answer


def status_of(version: Version) -> Status:
    """Only as well documented as its weakest part. The pay rule and `reverify` have a status of their own."""
    amount = [version.amount.status] if version.amount else []
    parts = [version.status, *amount, *(tier.status for tier in version.tiers)]
    return "example" if "example" in parts else "documented"


class Applicable:
    """A version of an item that counts for somebody.

    `presumed`: the place that the item follows is not known, so that the list of the person's other place serves
    only to ask for it. `untold`: of what the version reads the kinds of which it is no answer that nothing was said;
    not for its tiers, of which nobody is asked, so that doubt would only lower them.
    """

    def __init__(
        self, item: ItemPolicy, version: Version, jurisdiction: str, presumed: bool, untold: Collection[str] = ()
    ) -> None:
        self.item, self.version, self.jurisdiction, self.presumed = item, version, jurisdiction, presumed
        self.untold = untold = frozenset(untold) & kinds_read_by(version) if untold else frozenset()
        read = _read(version)
        self.slots = tuple(sorted(read | {HUKOU if item.follows == "hukou" else RESIDENCE}))
        # What the answer hangs on; always at least two places, so that it is a tuple.
        self._kind_of_person: Callable[[World], Any] = itemgetter(*sorted(read | {AGE, ABILITY}))
        self._holds = compiled(version.conditions, untold)
        cases = version.amount.cases if version.amount else ()
        self._cases = [(case.amount_fen, case.conditions, compiled(case.conditions, untold)) for case in cases]
        tiers = version.tiers
        self._tiers = [(tier, compiled(tier.conditions) if tier.conditions else None) for tier in tiers]
        self._known: dict[Any, Outcome | None] = {}

    @property
    def policy(self) -> str:
        return f"{self.jurisdiction}/{self.item.item}@{self.version.valid_from.isoformat()}"

    @property
    def status(self) -> Status:
        return status_of(self.version)

    def outcome(self, world: World) -> Outcome | None:
        """The answer for a world, None for a refusal."""
        kind_of_person = self._kind_of_person(world)
        found: Outcome | None = self._known.get(kind_of_person, _NOT_YET)
        if found is _NOT_YET:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            found = self._known[kind_of_person] = self._decide(world)
        return found

    def _decide(self, world: World) -> Outcome | None:
        version = self.version
        holds = self._holds(world)
        if holds is False:
            return None
        asked = missing(version.conditions, world, self.untold) if holds is None else set()
        if self.presumed:
            asked.add("registration" if self.item.follows == "hukou" else "residence")
        amount = None
        if version.amount and not asked:
            amount, lacking = self._case(world) if self._cases else _amount(version.amount, world)
            if amount is None and not lacking:
                return None  # the list names no amount for this person
            asked |= lacking
        if asked:
            return self._described(state="unknown", missing_facts=tuple(sorted(asked)))
        tier = next((tier for tier, applies in self._tiers if applies is None or applies(world)), None)
        return self._described(
            state="granted",
            amount_fen_per_month=amount,
            pay=version.pay.terms() if version.pay else None,
            tier=tier.tier if tier else None,
            interval_days=tier.interval_days if tier else None,
            reverify_months=version.reverify.living_tag_months if version.reverify else None,
        )

    def _case(self, world: World) -> tuple[int | None, set[str]]:
        """As `_amount`. A case that is open settles nothing, unless one before it holds."""
        for amount_fen, condition, applies in self._cases:
            holds = applies(world)
            if holds is None:
                return None, missing(condition, world, self.untold)
            if holds:
                return amount_fen, set()
        return None, set()

    def _described(self, **what: object) -> Outcome:
        return Outcome(
            item=self.item.item,
            jurisdiction=self.jurisdiction,
            kind=self.item.kind,
            policy=self.policy,
            policy_status=self.status,
            slots=self.slots,
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


def kinds_read_by(version: Version) -> set[str]:
    """The kinds of facts that are asked for where absence is no answer."""
    return set().union(*(kinds_read(condition) for condition in _asking(version)))


def _asking(version: Version) -> Iterator[Condition]:
    yield version.conditions
    yield from (case.conditions for case in (version.amount.cases if version.amount else ()))


def _read(version: Version) -> set[int]:
    read: set[int] = set().union(*(slots_read(condition) for condition in _asking(version)))
    for tier in version.tiers:
        read |= slots_read(tier.conditions) if tier.conditions else set()
    if version.amount and version.amount.bands:
        read.add(AGE if version.amount.bands[0].age_years_min is not None else ABILITY)
    return read
