"""Stores the rejected events of registered sources, with their problems and the encrypted beginning of their bodies."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from common.calendar import civil_date
from common.message import derived_id
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.recording.store import rejections as store

REJECTED_BODY_BYTES_MAX: Final = 65_536


async def record_rejections(tx: Tx, rejected: Sequence[Rejected], now: datetime) -> None:
    """Store rejected events of known sources. A body that a source sends several times is stored once."""
    rows: dict[str, store.Rejection] = {}
    for each in rejected:
        if each.source is not None:
            row = _row(each, each.source, now)
            rows[row.rejection_id] = row
    await store.insert_rejections(tx, list(rows.values()))


def rejected_by_core(events: Sequence[Pushed], receipts: Sequence[Receipt]) -> list[Rejected]:
    """The valid events that were rejected when they were recorded, because their id was used before with other content.

    `receipts`: of these events, in the same order."""
    return [
        Rejected(
            id=event.id,
            event_id=event.event_id,
            source=event.source.urn,
            day=event.day,
            faults=tuple(receipt.problems),
            body=event.kept,
        )
        for event, receipt in zip(events, receipts, strict=True)
        if receipt.status == "rejected"
    ]


def _row(rejected: Rejected, source: str, now: datetime) -> store.Rejection:
    rejection_id, day = _rejection_id(rejected, source), rejected.day or civil_date(now)
    sealed = vault().seal(rejected.body[:REJECTED_BODY_BYTES_MAX], rejection_id.encode())
    return store.Rejection(rejection_id, source, rejected.event_id, day, _problems(rejected), sealed, now)


def _rejection_id(rejected: Rejected, source: str) -> str:
    digest = vault().blind_index("refused\0" + rejected.body.decode("utf-8", "replace"))
    return derived_id("rejection", source, digest.hex())


def _problems(rejected: Rejected) -> bytes:
    return msgspec.json.encode([{"pointer": f.pointer, "code": f.code} for f in rejected.faults])
