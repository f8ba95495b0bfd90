"""SQL of declared coverage: the newest declaration per division, and the coverage that is in force."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from common.events import CoverageDeclared, FeedDeclared
from shell.store import bulk
from shell.store.transaction import Tx

from identification.tables import CoverageRow

Declared = dict[str, tuple[FeedDeclared, ...] | None]  # by division; None: withdrawn
_COLUMNS: Final = ("division", "version", "said", "event_id", "applied")
_decode = msgspec.json.Decoder(Declared).decode
_decode_event = msgspec.json.Decoder(CoverageDeclared).decode


class Declaration(NamedTuple):
    event: CoverageDeclared
    event_id: str


async def upsert_declared(tx: Tx, rows: Sequence[tuple[str, int, bytes, str]]) -> None:
    """Store the newest declaration of each division. A row with an older version than the stored one changes nothing.

    `rows`: (division, version, event as JSON, event id), at most one per division.
    """
    fresh = [(*row, False) for row in rows]
    await bulk.upsert(tx, CoverageRow, _COLUMNS, fresh, key=("division",), guard="t.version < excluded.version")


async def list_waiting(connection: asyncpg.Connection, limit: int) -> list[str]:
    """Return divisions whose newest declaration is not in force yet, at most `limit`."""
    rows = await connection.fetch("SELECT division FROM coverages WHERE NOT applied ORDER BY division LIMIT $1", limit)
    return [row[0] for row in rows]


async def lock_waiting(tx: Tx, limit: int) -> list[Declaration]:
    """Lock and return declarations that are not in force yet, at most `limit`."""
    rows = await tx.sql.fetch(
        "SELECT said, event_id FROM coverages WHERE NOT applied ORDER BY division LIMIT $1 FOR UPDATE", limit
    )
    return [Declaration(_decode_event(row[0]), row[1]) for row in rows]


async def mark_applied(tx: Tx, divisions: Sequence[str]) -> None:
    """Mark the declarations of some divisions as in force."""
    await tx.sql.execute("UPDATE coverages SET applied = true WHERE division = ANY($1::text[])", divisions)


async def load_coverage_at(connection: asyncpg.Connection, seq: int) -> Declared:
    """Return the coverage in force after publication `seq`, without withdrawn divisions."""
    rows = await connection.fetch(
        "SELECT coverage FROM publications WHERE coverage IS NOT NULL AND seq <= $1 ORDER BY seq", seq
    )
    found: Declared = {}
    for row in rows:
        found |= _decode(row[0])
    return {division: feeds for division, feeds in found.items() if feeds is not None}


async def append_coverage(
    tx: Tx, changed: Mapping[str, Any], *, running_digest: str, declared_at: datetime, event_id: str
) -> None:
    """Put `changed` (feeds by division; None: withdrawn) in force. The caller holds `locks.lock_lists`.

    `published_at` is the time of the declaration, but not before the last publication.
    """
    await tx.sql.execute(
        """INSERT INTO publications (seq, coverage, published_at, published_by, approved_by, running_digest, event_id,
             people_touched, people, people_changed, watched)
           SELECT coalesce(max(seq), 0) + 1, $1, greatest($2, max(published_at)), 'ingestion', '[]', $3, $4,
             0, 0, 0, false FROM publications""",
        msgspec.json.encode(changed, order="sorted"),
        declared_at,
        running_digest,
        event_id,
    )
