"""The memory of a person's vouched places and decisions, so that most events need no statement. Pure."""

from datetime import date
from typing import Literal

import msgspec

from ingestion.domain.pushed import Source


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A source may state a kind about the person until a day (inclusive, as an ordinal), by a decision of officers."""

    source: str
    kind: str
    until: int


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """The decision of officers, or the silence of the county left, about the place of a chain."""

    chain: str
    division: str
    outcome: Literal["confirmed", "silent", "objected"]


class Own(msgspec.Struct, frozen=True, array_like=True):
    """A statement of the platform itself `about` an event that waits: a suspicion of a death, or a doubt about an
    identity. `person_id`: in whose timeline it stands, which may be the other person of an identity change; `keeper`:
    whom the event is about."""

    chain: str
    about: str
    person_id: str
    keeper: str


class Stands(msgspec.Struct, array_like=True, frozen=True):
    """Which places of a person are vouched, kept with the person.

    `strong` and `weak`: divisions, see `places.Judged`; `weak` holds only those that are not strong. `seed`: 0 no
    place is known, 1 the first residence is vouched, 2 the first hukou is. `special`: something of the person is
    claimed, a hint, or decided by officers; then a change of place needs all statements. `exempt`: chains and member
    parts that officers have released. `home`: the county of the newest vouched hukou, else residence."""

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    seed: int = 0
    special: bool = False
    decided: tuple[Decided, ...] = ()
    exempt: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    own: tuple[Own, ...] = ()
    home: str | None = None

    def granted(self, source: Source, kind: str, today: date) -> bool:
        """Whether officers let a source state a kind about this person."""
        return any(g.source == source.urn and g.kind == kind and today.toordinal() <= g.until for g in self.grants)
