"""Events about a source of population events: gaps, silence, requested corrections. They never name a person."""

from datetime import date
from typing import ClassVar, Literal

from common.events.base import Event, Instant


class SourceGapFound(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The stored events whose `time` is on this day differ from the source's report, or the source has sent no report
    (`not_reported`).

    `gap`: the kind of difference. `ours`: the number of stored events; rejected events do not count. `told`: the
    reported number; None without a report."""

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
    """The gap of a source's day is closed: the stored events match the report."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    day: date
    found_at: Instant
    closed_at: Instant

    def key(self) -> str:
        return self.source


class SourceSilent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No event of a kind from a source was stored for longer than its limit. `heard_at`: the last arrival, or the
    instant from which events were expected; `silent_since`: the instant at which the platform noticed."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    kind: str
    heard_at: Instant
    silent_since: Instant

    def key(self) -> str:
        return self.source


class SourceHeard(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source is no longer silent: it has sent an event of the kind, or its limit was extended. `heard_at`,
    `silent_since`: as in `SourceSilent`, with the newest arrival."""

    topic: ClassVar[str] = "ingestion.source"

    source: str
    kind: str
    heard_at: Instant
    silent_since: Instant

    def key(self) -> str:
        return self.source


class CorrectionRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A source is asked to correct one of its events. `event_id`: as in the receipt of the event; `pointer`: the place
    of the fault in the event (RFC 6901)."""

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
    """A correction request is closed.

    `answered`: the source changed the event, or the event itself was accepted or applied. `answered_by`: the changing
    event, or the event itself. `withdrawn`: an officer withdrew the request, or the event was discarded or withdrawn.
    """

    topic: ClassVar[str] = "ingestion.source"

    correction_id: str
    source: str
    event_id: str
    outcome: Literal["answered", "withdrawn"]
    answered_by: str | None = None
    answered_at: Instant

    def key(self) -> str:
        return self.source
