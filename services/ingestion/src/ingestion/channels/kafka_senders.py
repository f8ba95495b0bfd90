"""Finds the sender of each Kafka record.

A source's own topic determines the source; the content of the record does not matter. On the shared topic the sender is
the source that signed the record.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from common.calendar import civil_date
from common.message import Record
from shell import clock
from shell.kafka.topics import INBOUND, source_of_topic

from ingestion.reading.events import named_source
from ingestion.register.signature import Signature, SignatureRefused, is_of_body, read_signature
from ingestion.register.sources import registered

SIGNATURE: Final = "shouwang-signature"
METHOD: Final = "KAFKA"
UNKNOWN: Final = "unknown"
_BINARY: Final = "ce_specversion"


class Sender(NamedTuple):
    """A known sender. `urn`: a registered source. `signed`: its signature identifies it; if False, its topic does."""

    urn: str
    signed: bool


class Unverified(NamedTuple):
    """An unknown sender. `claimed`: the registered source that the record names, or `unknown`."""

    reason: str
    claimed: str


async def find_senders(records: Sequence[Record]) -> list[Sender | Unverified]:
    """Return the sender of each record, in the order of the records.

    The function reads no database: the caller has refreshed the register of sources.
    Signatures are verified on another thread, so that HTTP requests do not wait for them.
    """
    ahead = clock.now() - clock.real_now()
    if any(record.topic == INBOUND for record in records):
        return await asyncio.to_thread(lambda: [_sender(record, ahead) for record in records])
    return [_sender(record, ahead) for record in records]


def is_binary(record: Record) -> bool:
    """Whether the headers hold the attributes of the event (CloudEvents binary mode)."""
    return record.header(_BINARY) is not None


def _sender(record: Record, ahead: timedelta) -> Sender | Unverified:
    if record.topic == INBOUND:
        return _signer(record, ahead)
    urn = source_of_topic(record.topic)
    return Sender(urn, signed=False) if urn in registered() and urn else _unverified(record, "source_unknown")


def _signer(record: Record, ahead: timedelta) -> Sender | Unverified:
    """Return the source that signed a record of the shared topic.

    `ahead`: business time minus real time. Keys are valid in business time; the broker writes real time."""
    token = record.header(SIGNATURE)
    if token is None:
        return _unverified(record, "signature_missing")
    if is_binary(record):
        return _unverified(record, "structured_mode_needed")
    try:
        signature = _signature(token, record, ahead)
    except SignatureRefused as refused:
        return _unverified(record, refused.code)
    except (ValueError, OverflowError, OSError):  # a time outside the calendar
        return _unverified(record, "signature_wrong")
    if not is_of_body(signature.sha256, record.value or b""):
        return _unverified(record, "signature_wrong")
    return Sender(signature.source, signed=True)


def _signature(token: str, record: Record, ahead: timedelta) -> Signature:
    """Read the signature `token` as of the time of the record.

    Raises SignatureRefused; ValueError, OverflowError and OSError for an impossible time of the record."""
    appended_at = datetime.fromtimestamp((record.timestamp_ms or 0) / 1000, UTC)
    return read_signature(token, METHOD, record.topic, appended_at, civil_date(appended_at + ahead))


def _unverified(record: Record, reason: str) -> Unverified:
    urn = record.header("ce_source") if is_binary(record) else named_source(record.value or b"")
    return Unverified(reason, urn if urn in registered() and urn else UNKNOWN)
