"""What registered sources sent in vain: counted, with its problems, its body sealed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from common.calendar import civil_date
from common.message import derived_id
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.receipts import Refused
from ingestion.recording.store import statements as store

REJECTED_BODY_BYTES_MAX: Final = 65_536


async def record_refusals(tx: Tx, refused: Sequence[Refused], now: datetime) -> None:
    """A refusal sent again is the same refusal."""
    rows: dict[str, tuple[object, ...]] = {}
    for r in refused:
        if r.source is None:
            continue
        digest = vault().blind_index("refused\0" + r.body.decode("utf-8", "replace"))
        rejection_id = derived_id("rejection", r.source, digest.hex())
        sealed = vault().seal(r.body[:REJECTED_BODY_BYTES_MAX], rejection_id.encode())
        problems = msgspec.json.encode([{"pointer": f.pointer, "code": f.code} for f in r.faults])
        rows[rejection_id] = (rejection_id, r.source, r.event_id, r.day or civil_date(now), problems, sealed, now)
    await store.insert_rejections(tx, list(rows.values()))
