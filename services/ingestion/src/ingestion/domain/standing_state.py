"""The part of a person's row that decides which sources belong: vouched places, decisions of officers, statements of
the platform itself.

It is kept with the person, so that most events can be decided without decoding the person's statements.
"""

from collections.abc import Collection
from datetime import date
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

from ingestion.domain.pushed import Source


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """By a decision of officers, a source may state a kind about the person until a day (inclusive, as an ordinal)."""

    source: str
    kind: str
    until: int

    def covers(self, source: Source, kind: str, today: date) -> bool:
        return self.source == source.urn and self.kind == kind and today.toordinal() <= self.until


class PlaceRuling(msgspec.Struct, frozen=True, array_like=True):
    """The decision about the place that a chain states: by officers, or `silent` after a time without an objection."""

    chain: str
    division: str
    outcome: Literal["confirmed", "silent", "objected"]

    def is_about(self, chain: str, division: str) -> bool:
        return self.chain == chain and self.division == division


class OwnStatement(msgspec.Struct, frozen=True, array_like=True):
    """A statement of the platform itself: a suspected death, or a doubt about an identity.

    `about`: the waiting event behind it. `person_id`: the person in whose timeline it is; for an identity change this
    may be the other person. `keeper`: the person whom the event is about."""

    chain: str
    about: str
    person_id: str
    keeper: str


class StandingState(msgspec.Struct, array_like=True, frozen=True):
    """The vouched places of a person.

    `strong`: vouched divisions; `weak`: divisions that are vouched by silence only. `seed`: 0 no place is known, 1 the
    first residence is vouched, 2 a hukou is known. `special`: the person has a claim, a hint, a place vouched by
    silence, a decision of officers or an own statement of the platform; then a place or a death is judged from all
    statements of the person, not from this row alone. `exempt`: chains that officers have released or a grant has
    admitted, and released parts of household events, one per member. `own`: statements of the platform itself. `home`:
    the county of the newest vouched hukou or, without one, of the newest vouched residence."""

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    seed: int = 0
    special: bool = False
    rulings: tuple[PlaceRuling, ...] = ()
    exempt: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    own: tuple[OwnStatement, ...] = ()
    home: str | None = None

    @property
    def vouched(self) -> set[str]:
        """All vouched divisions, also those vouched by silence."""
        return {*self.strong, *self.weak}

    @property
    def is_decided(self) -> bool:
        """Whether officers or the platform itself have changed how statements of this person count."""
        return bool(self.rulings or self.exempt or self.grants or self.own)

    def ruling_on(self, chain: str, division: str) -> PlaceRuling | None:
        """The decision about the place that a chain states; None if there is none."""
        return next((ruling for ruling in self.rulings if ruling.is_about(chain, division)), None)

    def with_own(self, own: OwnStatement) -> Self:
        return replace(self, special=True, own=(*self.own, own))

    def with_decisions(
        self, rulings: Collection[PlaceRuling], exempt: Collection[str], grants: Collection[Grant]
    ) -> Self:
        """Return the state with new decisions. `exempt`: chains and member parts that officers have released."""
        added = sorted(set(exempt) - set(self.exempt))
        if not rulings and not added and not grants:
            return self
        rulings = self._with_rulings(rulings)
        return replace(self, rulings=rulings, exempt=(*self.exempt, *added), grants=(*self.grants, *grants))

    def _with_rulings(self, new: Collection[PlaceRuling]) -> tuple[PlaceRuling, ...]:
        """The new rulings replace all earlier ones of their chains."""
        chains = {ruling.chain for ruling in new}
        return (*(ruling for ruling in self.rulings if ruling.chain not in chains), *new)

    def granted(self, source: Source, kind: str, today: date) -> bool:
        """Whether officers let a source state a kind about this person today."""
        return any(grant.covers(source, kind, today) for grant in self.grants)
