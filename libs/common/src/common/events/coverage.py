"""Coverage: fact kinds that sources report completely in a division. Only there does a missing fact mean "no"."""

from datetime import date
from typing import ClassVar

import msgspec

from common.events.base import Event, Instant
from common.events.facts import Kind


class FeedDeclared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Over [`since`, `until`) every change of `kind` is reported: a person without such a fact has none."""

    kind: Kind
    since: date
    until: date | None = None


class CoverageDeclared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All feeds of one division, by any source. They also hold for all areas within it.

    Without feeds, nothing is reported completely there any more, such as after the only source was suspended.
    `withdrawn`: the division has no declaration any more, as before its first one.
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
