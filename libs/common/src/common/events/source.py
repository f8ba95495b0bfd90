"""What happens between us and a source of population events: gaps, silence, corrections asked for. Never about whom."""

from datetime import date
from typing import ClassVar, Literal

from common.events.base import Event, Instant


class SourceGapFound(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Of a source's day not the same is here as the source told. `gap`: how it differs; `ours`, `told`: how many."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    day: date
    gap: Literal["not_reported", "short", "over", "differs"]
    ours: int
    told: int | None = None
    found_at: Instant

    def key(self) -> str:
        return self.source


class SourceGapClosed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The day is complete now."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    day: date
    found_at: Instant
    closed_at: Instant

    def key(self) -> str:
        return self.source


class SourceSilent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing of a kind has come from a source for longer than it ever should."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    kind: str
    heard_at: Instant
    silent_since: Instant

    def key(self) -> str:
        return self.source


class SourceHeard(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A silent source has spoken again."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    kind: str
    heard_at: Instant
    silent_since: Instant

    def key(self) -> str:
        return self.source


class CorrectionRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source is asked to put one of its events right. `event_id`: as in its receipt; `pointer`: into that event."""

    topic: ClassVar[str] = "ingestion.source"

    correction_id: str
    source: str
    event_id: str
    kind: str | None = None
    code: str
    pointer: str = ""
    asked_at: Instant
    deadline: Instant

    def key(self) -> str:
        return self.source


class CorrectionAnswered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The source has put the event right (`answered_by`: with which event), or nothing is asked of it any more."""

    topic: ClassVar[str] = "ingestion.source"

    correction_id: str
    source: str
    event_id: str
    outcome: Literal["answered", "withdrawn"]
    answered_by: str | None = None
    answered_at: Instant

    def key(self) -> str:
        return self.source
