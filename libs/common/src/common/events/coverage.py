"""Coverage: fact kinds that sources report completely in a division. There a missing fact means "no".

A declaration of a division also holds for the areas within it. If a place has declarations and none of them covers
the kind on the day, a missing fact means "unknown". Without a declaration, the kind of fact decides (`absence` in
`common.events.kinds`).
"""

from datetime import date
from typing import ClassVar

import msgspec

from common.events.base import Event, Instant
from common.events.facts import Kind


class FeedDeclared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A coverage entry: over [`since`, `until`) sources report every change of `kind` in the division. So a missing
    fact of this kind means "no"."""

    kind: Kind
    since: date
    until: date | None = None


class CoverageDeclared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All coverage entries (`feeds`) of one division, by any source. They also hold for all areas within it.

    Without feeds, no source of the division reports completely, for example after the suspension of the only source.
    A feed of an area above still covers it; without one, a missing fact means "unknown". `withdrawn`: the division has
    no declaration any more, as before its first one. If no area above has one either, the kind of fact decides.
    """

    topic: ClassVar[str] = "ingestion.coverage"
    state: ClassVar[bool] = True

    division: str
    version: int
    recorded_at: Instant
    feeds: tuple[FeedDeclared, ...] = ()
    withdrawn: bool = False

    def key(self) -> str:
        return self.division
