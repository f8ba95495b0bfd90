"""Of which kinds every change is told in a place: only there is it an answer that nothing was said of somebody."""

from datetime import date
from typing import ClassVar

import msgspec

from common.events.base import Event, Instant
from common.events.facts import Kind


class FeedDeclared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Over [`since`, `until`) every change of `kind` is told: who is not in it has none."""

    kind: Kind
    since: date
    until: date | None = None


class CoverageDeclared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All feeds of one division, of whichever sources; they hold for everything within it as well.

    Without feeds nothing is told there any more, as when the only source was suspended. `withdrawn`: nobody says
    anything about the division any more, as before the first declaration.
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
