"""The transaction of a use case: SQL on one connection, and the events to emit."""

from datetime import datetime

import asyncpg
import msgspec
from common.events import Event
from common.message import Message, derived_id, merge_causes, state_id

from shell import clock

_encode = msgspec.json.Encoder().encode


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """One event for the outbox. `urgent`: it overtakes pending rows that are not urgent. `payload`: None for a state
    that the service's view `outgoing` reads from another table."""

    topic: str
    key: str
    event_id: str
    wire_type: str
    state: bool
    urgent: bool
    payload: bytes | None
    time: datetime
    correlation_id: str
    causation_id: str | None
    traceparent: str | None
    causes: tuple[str, ...]
    extensions: tuple[tuple[str, str], ...]


class Origin(msgspec.Struct, frozen=True):
    """The change that an event follows from.

    `correlation_id`: the id of the pushed event that is the first cause; None if the event itself is the first.
    `causation_id`: the id of the handled message. `causes`: ids of all pushed events behind a state.
    """

    correlation_id: str | None = None
    causation_id: str | None = None
    causes: tuple[str, ...] = ()
    traceparent: str | None = None


def origin_of(given: "Message[Event] | Origin | str | None") -> Origin:
    """Return the origin for a handled message, for the id of a pushed event, or for None (an event without a cause)."""
    if isinstance(given, Origin):
        return given
    if given is None or isinstance(given, str):
        return Origin(correlation_id=given)
    return Origin(given.correlation_id, given.id, given.causes, given.traceparent)


class Tx:
    """The transaction of one batch or request. `sql`: an asyncpg connection inside the open transaction. Only
    `Database.transaction` commits it."""

    def __init__(self, sql: asyncpg.Connection, service: str) -> None:
        self.sql = sql
        self.service = service
        self.emitted: list[Emitted] = []

    def emit(
        self,
        event: Event,
        origin: Message[Event] | Origin | str | None = None,
        *,
        division: str | None = None,
        urgent: bool = False,
        topic: str | None = None,
    ) -> str:
        """Send `event` if this transaction commits; returns its id.

        `origin`: the handled message, the id of the pushed event, or None for an event without a cause. `division`: the
        area in the header. `urgent`: it overtakes pending rows that are not urgent. `topic`: only for events whose
        topic is made at run time (providers, parked, access).
        """
        return self._append(event, origin_of(origin), _body(event), division, urgent, topic)

    def emit_stored(
        self,
        event: Event,
        origin: Message[Event] | Origin | str | None = None,
        *,
        encoded: bytes | None = None,
        division: str | None = None,
        urgent: bool = False,
    ) -> str:
        """Send a state event whose JSON the caller has already; returns its id.

        `encoded`: the JSON without causes. None: a row of this transaction holds it, and the view `outgoing` of the
        service reads it from there (see `shell.store.outbox`).
        """
        return self._append(event, origin_of(origin), encoded, division, urgent, None)

    def _append(
        self, event: Event, origin: Origin, body: bytes | None, division: str | None, urgent: bool, topic: str | None
    ) -> str:
        cls = type(event)
        target = topic or cls.topic
        if body is None or cls.state:
            event_id = state_id(event)
        else:
            event_id = _edge_id(event, origin.causation_id or origin.correlation_id, target, body)
        correlation_id = origin.correlation_id or event_id
        self.emitted.append(
            Emitted(
                topic=target,
                key=event.key(),
                event_id=event_id,
                wire_type=cls.wire_type(),
                state=cls.state,
                urgent=urgent,
                payload=body,
                time=clock.now(),
                correlation_id=correlation_id,
                causation_id=origin.causation_id,
                traceparent=origin.traceparent,
                causes=merge_causes(origin.causes, (correlation_id,)) if cls.state else (),
                extensions=_extensions(event, division),
            )
        )
        return event_id


def _body(event: Event) -> bytes:
    """Return the JSON of an event without its causes. The outbox gathers them while a state is pending."""
    return _encode(msgspec.structs.replace(event, causes=()) if getattr(event, "causes", ()) else event)


def _edge_id(event: Event, origin: str | None, target: str, body: bytes) -> str:
    """Return the id of an event that is no state. Equal events of the same origin have the same id."""
    return derived_id(origin or "", type(event).__name__, target, event.key(), body.decode())


def _extensions(event: Event, division: str | None) -> tuple[tuple[str, str], ...]:
    version = getattr(event, "version", None)
    recorded_at = getattr(event, "recorded_at", None)
    found: list[tuple[str, str]] = []
    if version is not None:
        found.append(("sequence", str(version)))
    if recorded_at is not None:
        found.append(("recordedat", recorded_at.isoformat()))
    if division:
        found.append(("divisioncode", division))
    return tuple(found)
