"""The outbox: the events of committed transactions, until the relay has sent them.

Sent rows are deleted. There is no cursor that a late commit could fall behind. A state topic has one pending row per
key: the newer state replaces the older one and inherits its causes. Its `seq` changes too, so the relay, which deletes
by `seq`, never deletes a state that it has not sent. Other events are never replaced. A transaction packs them, in
order, into rows of up to `PACK_MAX` events.

A service may store a state as the same JSON that it sends. Such an outbox row has no payload, and the service's view
`outgoing` (created by a migration of the service) adds it. One transaction writes row and state, and one statement
reads both, so they always have the same version.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from common.message import CAUSES_MAX, merge_causes, to_headers

from shell.store.transaction import Emitted

OUTBOX_CHANNEL: Final = "shouwang_outbox"
PACK_MAX: Final = 200
WIRE_COLUMNS: Final = "topic, key, payload, headers, causes"
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode

_COLUMNS: Final = ("topic", "key", "urgent", "state", "events", "payload", "headers", "causes")
_UNNEST: Final = (
    "SELECT * FROM unnest($1::text[], $2::text[], $3::bool[], $4::bool[], $5::int[],"
    " $6::bytea[], $7::bytea[], $8::text[])"
)
_REPLACE: Final = f"""
INSERT INTO outbox ({", ".join(_COLUMNS)}) {_UNNEST}
ON CONFLICT (topic, key) WHERE state DO UPDATE SET
  seq = excluded.seq, payload = excluded.payload, headers = excluded.headers,
  urgent = outbox.urgent OR excluded.urgent,
  causes = right(outbox.causes || ',' || excluded.causes, {CAUSES_MAX * 37})
"""


class Wire(NamedTuple):
    """One record for Kafka."""

    topic: str
    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


_unpack = msgspec.msgpack.Decoder(list[Wire]).decode
_unpack_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


def _fold(emitted: Iterable[Emitted]) -> tuple[list[Emitted], list[Emitted]]:
    """Return the events that are no states, in order, and the newest state per (topic, key). States are sorted by key,
    so that two writers cannot deadlock."""
    edges: list[Emitted] = []
    states: dict[tuple[str, str], Emitted] = {}
    for event in emitted:
        if not event.state:
            edges.append(event)
            continue
        before = states.get((event.topic, event.key))
        if before is not None:
            event = _inherit(event, before)
        states[event.topic, event.key] = event
    return edges, [states[key] for key in sorted(states)]


def _inherit(event: Emitted, before: Emitted) -> Emitted:
    causes = merge_causes(before.causes, event.causes)
    return msgspec.structs.replace(event, urgent=event.urgent or before.urgent, causes=causes)


def _row(e: Emitted) -> tuple[object, ...]:
    return e.topic, e.key, e.urgent, True, 1, e.payload, _pack(_headers(e)), ",".join(e.causes)


def _packs(edges: Sequence[Emitted]) -> Iterator[tuple[object, ...]]:
    """Yield outbox rows (_COLUMNS) that each hold up to PACK_MAX events which are no states."""
    rest = iter(edges)
    while part := list(islice(rest, PACK_MAX)):
        wires = [(e.topic, e.key, e.payload, _headers(e)) for e in part]
        yield "", "", any(e.urgent for e in part), False, len(part), _pack(wires), b"", ""


def _headers(event: Emitted) -> list[tuple[str, bytes]]:
    return to_headers(
        wire_type=event.wire_type,
        id=event.event_id,
        time=event.time,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        traceparent=event.traceparent,
        extensions=event.extensions,
    )


async def outgoing(connection: asyncpg.Connection) -> str:
    """Return the relation with the pending rows and their payloads: the service's view `outgoing`, else `outbox`."""
    found: str = await connection.fetchval(
        "SELECT CASE WHEN to_regclass('outgoing') IS NULL THEN 'outbox' ELSE 'outgoing' END"
    )
    return found


async def write_outbox(connection: asyncpg.Connection, emitted: Sequence[Emitted]) -> None:
    """Write all events of a transaction by at most two statements: a COPY of packed rows, and one upsert of states."""
    if not emitted:
        return
    edges, states = _fold(emitted)
    if edges:
        await connection.copy_records_to_table("outbox", records=_packs(edges), columns=_COLUMNS)
    if states:
        await connection.execute(_REPLACE, *map(list, zip(*map(_row, states), strict=True)))


def wires(row: Any) -> list[Wire]:
    """Return the records of one outbox row (with WIRE_COLUMNS), in the order of sending."""
    if not row["topic"]:
        return _unpack(row["payload"])
    value = _with_causes(row["payload"], row["causes"])
    return [Wire(row["topic"], row["key"], value, _unpack_headers(row["headers"]))]


def _with_causes(payload: bytes, causes: str) -> bytes:
    """Return the JSON of a state with its causes. `causes`: ids with commas, gathered while the state was pending."""
    if not causes:
        return payload
    listed = merge_causes(cause for cause in causes.split(",") if len(cause) == 36)
    return payload[:-1] + b',"causes":' + _encode(listed) + b"}"
