"""Parse raw records. Of most event types only the headers are read. Of a state also the causes are decoded, and of the
types in `events.PARTIAL_EVENTS` the fields that supervision needs."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.errors import BadMessage
from common.events import Event, all_events
from common.message import CAUSES_MAX, Message, Record, merge_causes
from common.patterns import UUID

from supervision.domain import events

_STATES: Final = frozenset(name.rsplit(".", 1)[1] for name, cls in all_events().items() if cls.state)
# id, correlation, causation, time, version (digits; a policy has a digest) and type, joined from the headers
_ENVELOPE: Final = re.compile(
    rf"({UUID}) ({UUID}) ({UUID})? (\d{{4}}-\d\d-\d\dT[0-9:.]{{8,15}}\+00:00) (?:(\d{{1,18}})|\S*) "
    rf"(?:[\w.]*\.)?(\w{{1,80}})",
    re.ASCII,
)
_SERVICE: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ID: Final = re.compile(UUID)


class ReceivedEvent(NamedTuple):
    """One event of any service. `at`: ISO text in UTC. `data`: see `events.decode`. `division`: the area that the
    sender gave. `version`: of a state; None for a list, whose version is no number, and for other events."""

    event_id: str
    correlation_id: str
    causation_id: str | None
    at: str
    version: str | None
    service: str
    event_type: str
    person_id: str | None
    causes: tuple[str, ...]
    data: Any
    traceparent: str | None
    division: str | None = None

    def message(self) -> Message[Event]:
        """The event as the cause of an event that supervision emits."""
        return Message(
            id=self.event_id,
            data=self.data,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            time=self.time,
            traceparent=self.traceparent,
            causes=self.causes,
        )

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at)


def parse_record(record: Record) -> ReceivedEvent:
    """Parse a Kafka record of any service. Raises BadMessage."""
    headers = {name: value for name, value in record.headers if value is not None}
    try:
        envelope = _ENVELOPE.fullmatch(_joined(headers))
        service = record.topic.partition(".")[0]
        if envelope is None or not _SERVICE.fullmatch(service):
            raise BadMessage("bad_envelope")
        event_id, correlation_id, causation_id, at, version, event_type = envelope.groups()
        value = record.value or b""
        data = events.decode(event_type, value)
        causes = _causes(event_type, data, value)
        traceparent, division = headers.get("traceparent"), headers.get("ce_divisioncode")
        return ReceivedEvent(
            event_id,
            correlation_id,
            causation_id,
            at,
            version,
            service,
            event_type,
            _person_id(record),
            causes,
            data,
            traceparent.decode() if traceparent else None,
            division.decode() if division else None,
        )
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError) as error:
        raise BadMessage("undecodable") from error


def _joined(headers: dict[str, bytes]) -> str:
    """The parts of the envelope in one text, so that one match checks all. Raises KeyError and ValueError."""
    event_id = headers["ce_id"]
    parts = (
        event_id,
        headers.get("ce_correlationid", event_id),
        headers.get("ce_causationid", b""),
        headers["ce_time"],
        headers.get("ce_sequence", b""),
        headers["ce_type"],
    )
    return b" ".join(parts).decode()


def _causes(event_type: str, data: Any, value: bytes) -> tuple[str, ...]:
    if event_type not in _STATES:
        return ()
    causes = getattr(data, "causes", ()) if data is not None else events.causes_of(value)
    return tuple(cause for cause in causes[-CAUSES_MAX:] if _ID.fullmatch(cause))


def _person_id(record: Record) -> str | None:
    """The key of a record, if it is a person's id. A policy has an area as key; a parked record has its own id."""
    text = (record.key or b"").decode()
    return text if _ID.fullmatch(text) and not record.topic.endswith(".parked") else None


def newest(received: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """Return the newest state event per person, with the causes of the older states that it replaces."""
    kept: dict[str, ReceivedEvent] = {}
    for event in received:
        person_id = event.data.person_id
        before = kept.get(person_id)
        kept[person_id] = event if before is None else _newer(before, event)
    return list(kept.values())


def _newer(one: ReceivedEvent, other: ReceivedEvent) -> ReceivedEvent:
    older, newer = sorted((one, other), key=lambda event: event.data.version)
    return newer._replace(causes=merge_causes(older.causes, newer.causes))
