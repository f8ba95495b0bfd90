"""The Kafka channel: one topic per source, in binary or structured mode, and the shared topic for signed records."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
from common import calendar
from common.message import Record
from shell import clock
from shell.kafka.topics import INBOUND
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.doors.record_senders import Sender, Unverified, find_senders, is_binary
from ingestion.doors.unverified import set_aside
from ingestion.reading.bodies import Unreadable, need_json, structured
from ingestion.reading.events import read_event, reject_unread
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections
from ingestion.register import quotas, sources

# Also a topic whose name is that of no source: a record there must not wait unseen.
TOPICS: Final = rf"^{INBOUND.replace('.', '[.]')}([.][A-Za-z0-9._-]+)?$"


@dataclass
class _Batch:
    """Records by their fate. `signed`: for each of `events`, whether it came on the shared topic."""

    events: list[Pushed] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    refused: list[Rejected] = field(default_factory=list)
    unknown: list[tuple[Record, Unverified]] = field(default_factory=list)


async def on_pushed(records: Sequence[Record], tx: Tx) -> None:
    """Record a batch. A wrong event is a rejection of the source that sent it. A record whose sender nobody knows is
    counted and parked. No quota refuses anything here: the excess is charged to the other channels, and the broker's
    own quotas slow down a source that sends too fast."""
    await sources.look_on(tx.sql)
    now = clock.now()
    batch = await _read_batch(records, now)
    if (batch.refused or batch.unknown) and await _has_changed(tx):
        batch = await _read_batch(records, now)
    receipts = await record(tx, batch.events, now)
    await record_rejections(tx, batch.refused, now)
    await set_aside(tx, batch.unknown, calendar.civil_date(now))
    await quotas.owe_on(tx, _charged(batch.events, batch.signed, receipts))


async def _has_changed(tx: Tx) -> bool:
    """Whether another process has changed the register within the last seconds. A sender on Kafka gets no answer and
    does not send again, so nothing may be refused by an old register."""
    before = sources.versions()
    await sources.look_on(tx.sql, now=True)
    return sources.versions() is not before


async def _read_batch(records: Sequence[Record], now: datetime) -> _Batch:
    batch = _Batch()
    for each, sender in zip(records, await find_senders(records), strict=True):
        if isinstance(sender, Unverified):
            batch.unknown.append((each, sender))
            continue
        found = _read(each, sender, now)
        if isinstance(found, Pushed):
            batch.events.append(found)
            batch.signed.append(sender.signed)
        else:
            batch.refused.append(found)
    return batch


def _read(record: Record, sender: Sender, now: datetime) -> Pushed | Rejected:
    body = record.value or b""
    if not sender.signed and not sources.versions()[sender.urn].entry.kafka:
        return reject_unread(body, "topic_not_registered", sender.urn)
    try:
        need_json(body)
    except Unreadable as error:
        return reject_unread(body, error.code, sender.urn)
    return read_event(
        _structured(record, body) if is_binary(record) else body,
        now,
        only_source=sender.urn,
        not_yours="source_not_yours" if sender.signed else "source_not_of_topic",
        traceparent=record.header("traceparent"),
    )


def _structured(record: Record, body: bytes) -> bytes | msgspec.Raw:
    attributes = {
        name.removeprefix("ce_"): value.decode("utf-8", "replace")
        for name, value in record.headers
        if name[:3] == "ce_"
    }
    return structured(attributes, body)


def _charged(events: Sequence[Pushed], signed: Sequence[bool], receipts: Sequence[Receipt]) -> Counter[str]:
    """Events per source. A copy of a signed record may be sent by others, who must not use up the source's quota."""
    return Counter(
        event.source.urn
        for event, is_signed, receipt in zip(events, signed, receipts, strict=True)
        if not (is_signed and receipt.status == "duplicate")
    )
