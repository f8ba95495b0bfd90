"""Every SQL statement about rejected events."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.tables import RejectionRow


class Rejection(NamedTuple):
    """A rejected event of a source. `problems`: JSON. `sealed`: the body as far as it is kept."""

    rejection_id: str
    source: str
    event_id: str | None
    day: date
    problems: bytes
    sealed: bytes
    recorded_at: datetime


async def insert_rejections(tx: Tx, rows: Sequence[Rejection]) -> None:
    by_id = sorted(rows, key=lambda row: row.rejection_id)
    await bulk.insert_new(tx, RejectionRow, Rejection._fields, by_id, returning="rejection_id")
