"""The transaction a use case works in: raw SQL on one connection, and what it wants to tell the world."""

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec
from common.events import Event
from common.message import Message, derived_id, merge_causes, state_id

from shell import clock

_encode = msgspec.json.Encoder().encode


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """One event on its way into the outbox. `urgent` rows of state topics overtake the others. `payload`: None for a
    state that the service keeps in a table of its own, from where its view `outgoing` takes it."""

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


class Tx:
    """`sql` is an asyncpg connection inside an open transaction. Nobody but `Database.transaction` commits it."""

    def __init__(self, sql: asyncpg.Connection, service: str) -> None:
        self.sql = sql
        self.service = service
        self.emitted: list[Emitted] = []

    def emit(
        self,
        event: Event,
        *,
        cause: Message[Event] | None = None,
        correlation_id: str | None = None,
        causes: Iterable[str] = (),
        urgent: bool = False,
        topic: str | None = None,
        encoded: bytes | None = None,
        kept: bool = False,
        traceparent: str | None = None,
        division: str | None = None,
    ) -> str:
        """Say `event` when this transaction commits; returns its id.

        `cause`: the message it follows from (gives correlation, causation, causes, trace). Without one, name at
        least the `correlation_id` of the pushed event, or the event begins a chain of its own. `topic` only for
        events whose topic is made at run time (providers, parked). `encoded`: the JSON of a state event without
        its causes, when the caller has it already. `kept`: a row of this transaction holds just that (see
        `shell.store.outbox`), so it need not be written a second time.
        """
        cls = type(event)
        target = topic or cls.topic
        body = None if kept else encoded or _body(event)
        origin = cause.id if cause else correlation_id
        event_id = state_id(event) if body is None or cls.state else _edge_id(event, origin, target, body)
        correlation = correlation_id or (cause.correlation_id if cause else event_id)
        own = tuple(causes) or (cause.causes if cause else ())
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
                correlation_id=correlation,
                causation_id=cause.id if cause else None,
                traceparent=traceparent or (cause.traceparent if cause else None),
                causes=merge_causes(own, (correlation,)) if cls.state else (),
                extensions=_extensions(event, division),
            )
        )
        return event_id


def _body(event: Event) -> bytes:
    """The JSON without causes: pending states gather them in the outbox."""
    return _encode(msgspec.structs.replace(event, causes=()) if getattr(event, "causes", ()) else event)


def _edge_id(event: Event, origin: str | None, target: str, body: bytes) -> str:
    """The same thing said for the same reason has the same id, on whatever path it comes."""
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
