"""The outbox: what a transaction said, until the relay has sent it.

Rows are deleted when sent; there is no cursor that a late commit could slip behind. A state topic keeps one
pending row per key: the newer state replaces the older one and inherits its causes. Its `seq` changes with it, so
that the relay, which deletes by `seq`, never deletes a state it has not sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import asyncpg
import msgspec

from common.message import CAUSES_MAX, merge_causes, to_headers
from common.transaction import Emitted

OUTBOX_CHANNEL: Final = "shouwang_outbox"
_encode = msgspec.json.Encoder().encode

_COLUMNS: Final = ("topic", "key", "event_id", "urgent", "state", "payload", "headers", "causes")
_UNNEST: Final = (
    "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bool[],"
    " $6::bytea[], $7::bytea[], $8::text[])"
)
_REPLACE: Final = f"""
INSERT INTO outbox ({", ".join(_COLUMNS)}) {_UNNEST}
ON CONFLICT (topic, key) WHERE state DO UPDATE SET
  seq = excluded.seq, event_id = excluded.event_id, payload = excluded.payload, headers = excluded.headers,
  urgent = outbox.urgent OR excluded.urgent,
  causes = right(outbox.causes || ',' || excluded.causes, {CAUSES_MAX * 37})
"""


def _fold(emitted: Iterable[Emitted]) -> tuple[list[Emitted], list[Emitted]]:
    """Edge events in order; the newest state per (topic, key), sorted by key so that writers cannot deadlock."""
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
    return replace(event, urgent=event.urgent or before.urgent, causes=merge_causes(before.causes, event.causes))


def _row(e: Emitted) -> tuple[object, ...]:
    headers = _encode([(name, value.decode()) for name, value in _headers(e)])
    return e.topic, e.key, e.event_id, e.urgent, e.state, e.payload, headers, ",".join(e.causes)


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


async def write_outbox(connection: asyncpg.Connection, emitted: Sequence[Emitted]) -> None:
    """Two statements for any number of events: COPY for what only happens, one upsert for states."""
    if not emitted:
        return
    edges, states = _fold(emitted)
    if edges:
        await connection.copy_records_to_table("outbox", records=map(_row, edges), columns=_COLUMNS)
    if states:
        await connection.execute(_REPLACE, *map(list, zip(*map(_row, states), strict=True)))


_decode_headers = msgspec.json.Decoder(list[tuple[str, str]])


def wire_headers(stored: bytes) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in _decode_headers.decode(stored)]


def wire_payload(payload: bytes, causes: str) -> bytes:
    """The body as sent: a state event's causes are added at the last moment, since pending rows gather them."""
    if not causes:
        return payload
    listed = merge_causes(cause for cause in causes.split(",") if len(cause) == 36)
    return payload[:-1] + b',"causes":' + _encode(listed) + b"}"
