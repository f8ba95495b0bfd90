"""Compute the answer of one version of an item, once for each group of persons whom the version cannot distinguish."""

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, Final, Literal

import msgspec
from common.events.entitlement import EntitlementState, ItemKind, PayTerms

from rules.deciding.conditions import asked_conditions, compiled, kinds_read, leaves_of_version, missing, slots_read
from rules.form.policy import Amount, ItemPolicy, Status, Tier, Version
from rules.form.situation import ABILITY, AGE, HUKOU, RESIDENCE, Situation

_REMEMBERED_MAX: Final = 20_000  # groups of persons per version


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one version of an item: a state with amount, visits and reasons.

    `policy`: the version, as `<area>/<item>@<date>`. `slots`: the indexes of the circumstances on which the answer
    depends.
    """

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
        """True if the person has the right, but no list sets an amount, so there is no money yet."""
        return self.kind == "cash" and self.amount_fen_per_month is None and self.state != "unknown"

    @property
    def given(self) -> bool:
        """True if the item is granted or suspended, and money has an amount. A suspicion must not let another item
        replace suspended money."""
        return self.state in ("granted", "suspended") and not self.unset


_NOT_YET: Final[Any] = object()  # None is an answer


def status_of(version: Version) -> Status:
    """Return `example` if the version, its amount or a tier is one. The status of the pay rule, `reverify` or authority
    makes no difference."""
    amount = [version.amount.status] if version.amount else []
    parts = [version.status, *amount, *(tier.status for tier in version.tiers)]
    return "example" if "example" in parts else "documented"


class Applicable:
    """A version of an item that counts for a person. It remembers its answers.

    `presumed`: the place that the item follows is unknown. The list of the person's other place is then used only to
    ask for the place. `unreported`: kinds of facts whose absence means unknown. Only the kinds that the version asks
    for are kept. Tiers ignore it, because the platform asks for no fact of a tier. There an unknown answer would only
    move the person to a later tier.
    """

    def __init__(
        self, item: ItemPolicy, version: Version, jurisdiction: str, presumed: bool, unreported: Collection[str] = ()
    ) -> None:
        self.item, self.version, self.jurisdiction, self.presumed = item, version, jurisdiction, presumed
        self.unreported = unreported = frozenset(unreported) & kinds_read_by(version) if unreported else frozenset()
        read = slots_read(leaves_of_version(version))
        self.slots = tuple(sorted(read | {HUKOU if item.follows == "hukou" else RESIDENCE}))
        # The answer depends on these values; always two or more slots, so that the key is a tuple.
        self._group_of: Callable[[Situation], Any] = itemgetter(*sorted(read | {AGE, ABILITY}))
        self._holds = compiled(version.conditions, unreported)
        cases = version.amount.cases if version.amount else ()
        self._cases = [(case.amount_fen, case.conditions, compiled(case.conditions, unreported)) for case in cases]
        self._tiers = [(tier, compiled(tier.conditions) if tier.conditions else None) for tier in version.tiers]
        self._known: dict[Any, Outcome | None] = {}

    @property
    def policy(self) -> str:
        """The name of the version: `<area>/<item>@<first day>`."""
        return f"{self.jurisdiction}/{self.item.item}@{self.version.valid_from.isoformat()}"

    @property
    def status(self) -> Status:
        return status_of(self.version)

    def outcome(self, situation: Situation) -> Outcome | None:
        """Return the answer for a situation; None: refused."""
        group = self._group_of(situation)
        found: Outcome | None = self._known.get(group, _NOT_YET)
        if found is _NOT_YET:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            found = self._known[group] = self._decide(situation)
        return found

    def _decide(self, situation: Situation) -> Outcome | None:
        """Compute the answer for a situation; None: refused."""
        holds = self._holds(situation)
        if holds is False:
            return None
        lacking = missing(self.version.conditions, situation, self.unreported) if holds is None else set()
        if self.presumed:
            lacking.add("registration" if self.item.follows == "hukou" else "residence")
        amount_fen = None
        if self.version.amount and not lacking:
            amount_fen, lacking = self._amount(self.version.amount, situation)
            if amount_fen is None and not lacking:
                return None  # the list sets no amount for this person
        if lacking:
            return self._described(state="unknown", missing_facts=tuple(sorted(lacking)))
        return self._granted(amount_fen, self._tier(situation))

    def _granted(self, amount_fen: int | None, tier: Tier | None) -> Outcome:
        version = self.version
        return self._described(
            state="granted",
            amount_fen_per_month=amount_fen,
            pay=version.pay.terms() if version.pay else None,
            tier=tier.tier if tier else None,
            interval_days=tier.interval_days if tier else None,
            reverify_months=version.reverify.living_tag_months if version.reverify else None,
        )

    def _tier(self, situation: Situation) -> Tier | None:
        """Return the first tier that applies. A tier without conditions always applies."""
        return next((tier for tier, applies in self._tiers if applies is None or applies(situation)), None)

    def _amount(self, amount: Amount, situation: Situation) -> tuple[int | None, set[str]]:
        """Return fen per month, and the missing kinds of facts.

        If kinds are missing, the amount is None. If no band or case fits, the amount is None and the set is empty."""
        if self._cases:
            return self._case(situation)
        if amount.flat_fen is not None:
            return amount.flat_fen, set()
        return _band(amount, situation)

    def _case(self, situation: Situation) -> tuple[int | None, set[str]]:
        """Return the amount of the first case that holds, as `_amount` does. An earlier case with an unknown answer
        makes the amount unknown."""
        for amount_fen, condition, applies in self._cases:
            holds = applies(situation)
            if holds is None:
                return None, missing(condition, situation, self.unreported)
            if holds:
                return amount_fen, set()
        return None, set()

    def _described(self, **fields: object) -> Outcome:
        """Return an outcome of this version with further fields."""
        return Outcome(
            item=self.item.item,
            jurisdiction=self.jurisdiction,
            kind=self.item.kind,
            policy=self.policy,
            policy_status=self.status,
            slots=self.slots,
            **fields,  # type: ignore[arg-type]
        )


def _band(amount: Amount, situation: Situation) -> tuple[int | None, set[str]]:
    """Return the amount of the highest band that the person reaches, and the missing kinds, as `Applicable._amount`."""
    by_age = amount.bands[0].age_years_min is not None
    reached = situation[AGE if by_age else ABILITY]
    if reached is None:
        return None, {"registration" if by_age else "ability_result"}
    fits = None
    for band in amount.bands:
        if (band.least or 0) <= reached:
            fits = band.amount_fen
    return fits, set()


def kinds_read_by(version: Version) -> set[str]:
    """Return the kinds of facts that the conditions of a version and of its amount cases read.

    Those of tiers and bands are left out, because coverage makes no difference there.
    """
    return kinds_read(asked_conditions(version))
