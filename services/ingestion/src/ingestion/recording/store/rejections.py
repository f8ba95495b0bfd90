"""Every SQL statement about rejected events."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

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


class SealedBody(NamedTuple):
    """The body of a rejected event, as far as it is kept. `rejection_id`: the context of its seal."""

    event_id: str
    rejection_id: str
    sealed: bytes


async def load_bodies(connection: Any, event_ids: Sequence[str]) -> list[SealedBody]:
    """The last rejected body of each of these events. An event that was not rejected is left out."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (event_id) event_id, rejection_id, sealed FROM rejections
           WHERE event_id = ANY($1::uuid[]) ORDER BY event_id, recorded_at DESC""",
        list(event_ids),
    )
    return [SealedBody(*row) for row in rows]
