"""The Kafka channel: one topic per source, in binary or structured mode, and the shared topic for signed records."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
from common import calendar
from common.message import Record
from shell import clock
from shell.kafka.topics import INBOUND
from shell.store.transaction import Tx

from ingestion.channels.kafka_senders import Sender, Unverified, find_senders, is_binary
from ingestion.channels.unverified_records import count_and_park
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.reading.bodies import Unreadable, need_json, structured
from ingestion.reading.events import read_event, reject_unread
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections, rejected_by_core
from ingestion.register import quotas, sources

# The pattern also matches topics named after no source: their records must be counted too.
TOPICS: Final = rf"^{INBOUND.replace('.', '[.]')}([.][A-Za-z0-9._-]+)?$"


@dataclass
class _Batch:
    """The result of reading a batch of records. `signed`: for each of `events`, whether it came on the shared topic."""

    events: list[Pushed] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    unverified: list[tuple[Record, Unverified]] = field(default_factory=list)

    def add(self, found: Pushed | Rejected, *, signed: bool) -> None:
        if isinstance(found, Pushed):
            self.events.append(found)
            self.signed.append(signed)
        else:
            self.rejected.append(found)


async def on_pushed(records: Sequence[Record], tx: Tx) -> None:
    """Record a batch. A faulty event is stored as a rejection of its source. A record of an unknown sender is counted
    and parked.

    Quotas reject nothing here. The events are charged to the source's quota, so that an excess delays its other
    channels. The broker's own quotas throttle a source that sends too fast.
    """
    await sources.refresh_on(tx.sql)
    now, before = clock.now(), sources.versions()
    batch = await _read_batch(records, now)
    if (batch.rejected or batch.unverified) and await _has_changed(tx, before):
        batch = await _read_batch(records, now)
    receipts = await record(tx, batch.events, now)
    await record_rejections(tx, [*batch.rejected, *rejected_by_core(batch.events, receipts)], now)
    await count_and_park(tx, batch.unverified, calendar.civil_date(now))
    await quotas.owe_on(tx, _charged(batch.events, batch.signed, receipts))


async def _has_changed(tx: Tx, before: Mapping[str, sources.Version]) -> bool:
    """Load the newest register of sources; return whether it differs from the one before the batch was read.

    A sender on Kafka gets no answer and does not repeat a record. So an outdated register must reject nothing. Another
    task of this process may also refresh the register while the batch is read."""
    await sources.refresh_on(tx.sql, now=True)
    return sources.versions() is not before


async def _read_batch(records: Sequence[Record], now: datetime) -> _Batch:
    batch = _Batch()
    for each, sender in zip(records, await find_senders(records), strict=True):
        if isinstance(sender, Unverified):
            batch.unverified.append((each, sender))
        else:
            batch.add(_read(each, sender, now), signed=sender.signed)
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
        if name[:3] == "ce_" and value is not None
    }
    return structured(attributes, body)


def _charged(events: Sequence[Pushed], signed: Sequence[bool], receipts: Sequence[Receipt]) -> Counter[str]:
    """Return the number of events that each source is charged for.

    Duplicates of signed records are not charged, because anyone could repeat them and use up the source's quota."""
    return Counter(
        event.source.urn
        for event, is_signed, receipt in zip(events, signed, receipts, strict=True)
        if not (is_signed and receipt.status == "duplicate")
    )
