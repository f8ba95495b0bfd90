"""Read and write the CloudEvents envelope of events on Kafka (binary mode): headers and a JSON body."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha1
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import NAMESPACE_URL, uuid5

import msgspec

from common import patterns
from common.errors import BadMessage
from common.events import Event, by_type, decoder

E_co = TypeVar("E_co", bound=Event, covariant=True)
Headers = Sequence[tuple[str, bytes | None]]  # Kafka permits a header without a value
CAUSES_MAX: Final = 128
_SPEC = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
_IDS: Final = uuid5(NAMESPACE_URL, "urn:shouwang:events").bytes
_VARIANT: Final = {f"{n:x}": "89ab"[n & 3] for n in range(16)}
_UUID: Final = re.compile(patterns.UUID)


class Record(NamedTuple):
    """A Kafka record. `timestamp_ms`: milliseconds since 1970, set by the producer or the broker, as the topic
    states."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None

    def place(self) -> tuple[object, ...]:
        """Values that together identify the record in its topic. They include the timestamp, because a topic that is
        deleted and created again repeats its offsets."""
        return (self.partition, self.offset, *(() if self.timestamp_ms is None else (self.timestamp_ms,)))

    def header(self, name: str) -> str | None:
        """Return the text of a header; None without the header, or if it has no value."""
        for key, value in self.headers:
            if key == name:
                return None if value is None else value.decode("utf-8", "replace")
        return None


def filled(headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    """The headers of a record as they were received. Kafka permits a header without a value; it becomes empty."""
    return [(name, value or b"") for name, value in headers]


class Message(msgspec.Struct, Generic[E_co], frozen=True, gc=False):
    """An event with its envelope. `correlation_id`: the pushed event that caused it, directly or through other events;
    its own id if there is none. `causation_id`: the event that caused it directly. `causes`: the pushed events that are
    folded into this one; without any, the `correlation_id` alone."""

    id: str
    data: E_co
    correlation_id: str
    causation_id: str | None = None
    time: datetime | None = None
    traceparent: str | None = None
    causes: tuple[str, ...] = ()
    record: Record | None = None


def derived_id(*parts: object) -> str:
    """A UUID of version 5 from `parts`, so that equal parts give equal ids. It is computed here because `uuid.uuid5`
    costs five times as much."""
    digest = sha1(_IDS + "\x1f".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def state_id(event: Event) -> str:
    """The id of a state event: the same for the same topic, key and version (without a version: `published_on`)."""
    return derived_id(event.topic, event.key(), getattr(event, "version", getattr(event, "published_on", "")))


def to_headers(
    *,
    wire_type: str,
    id: str,
    time: datetime,
    correlation_id: str,
    causation_id: str | None,
    traceparent: str | None,
    extensions: Iterable[tuple[str, str]] = (),
) -> list[tuple[str, bytes]]:
    """The headers of a record. `time`: an instant with a zone. `extensions`: further attributes without `ce_`."""
    owner = wire_type.split(".")[2]
    headers = [
        _SPEC,
        _JSON,
        ("ce_id", id.encode()),
        ("ce_type", wire_type.encode()),
        ("ce_source", f"urn:shouwang:{owner}".encode()),
        ("ce_time", time.astimezone(UTC).isoformat().encode()),
        ("ce_correlationid", correlation_id.encode()),
    ]
    if causation_id:
        headers.append(("ce_causationid", causation_id.encode()))
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    headers.extend((f"ce_{name}", value.encode()) for name, value in extensions)
    return headers


def from_record(record: Record) -> Message[Event] | None:
    """The typed message; None for a type that this version does not know. Raises BadMessage for a broken record."""
    headers = {name: value for name, value in record.headers if value is not None}
    wire_type = headers.get("ce_type")
    if wire_type is None:
        raise BadMessage("no_ce_type")
    cls = by_type(wire_type.decode("utf-8", "replace"))
    if cls is None:
        return None
    if record.value is None:
        raise BadMessage("empty_body")
    try:
        return _message(record, headers, decoder(cls).decode(record.value))
    except (msgspec.MsgspecError, KeyError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"undecodable_{cls.__name__}") from error


def _message(record: Record, headers: dict[str, bytes], data: Event) -> Message[Event]:
    event_id = headers["ce_id"].decode()
    correlation_id = headers.get("ce_correlationid", headers["ce_id"]).decode()
    causation = headers.get("ce_causationid")
    time = headers.get("ce_time")
    traceparent = headers.get("traceparent")
    if not _UUID.fullmatch(event_id):
        raise BadMessage("ce_id_is_no_uuid")
    return Message(
        id=event_id,
        data=data,
        correlation_id=correlation_id,
        causation_id=causation.decode() if causation else None,
        time=datetime.fromisoformat(time.decode()) if time else None,
        traceparent=traceparent.decode() if traceparent else None,
        causes=tuple(getattr(data, "causes", ())) or (correlation_id,),
        record=record,
    )


def merge_causes(*groups: Iterable[str]) -> tuple[str, ...]:
    """All causes of all groups in order, each once; only the last CAUSES_MAX are kept."""
    return tuple(dict.fromkeys(cause for group in groups for cause in group))[-CAUSES_MAX:]
