"""Every SQL statement of the register of sources: versions are only ever added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shell.store import bulk
from shell.store.transaction import Tx

from ingestion.tables import RegistryRow

_COLUMNS = ("source", "version", "since", "entry", "decided_by", "reason")


async def count_versions(connection: Any, at: datetime) -> int:
    """How many versions have begun: another number, and another register is in force."""
    found: int = await connection.fetchval("SELECT count(*) FROM registry WHERE since <= $1", at)
    return found


async def load_in_force(connection: Any, at: datetime) -> list[Any]:
    """source, version, since, entry: one row per source."""
    rows: list[Any] = await connection.fetch(
        """SELECT DISTINCT ON (source) source, version, since, entry FROM registry WHERE since <= $1
           ORDER BY source, since DESC, version DESC""",
        at,
    )
    return rows


async def load_newest(connection: Any) -> dict[str, Any]:
    """version, entry, decided_by of the version entered last, by source."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (source) source, version, entry, decided_by FROM registry ORDER BY source, version DESC"
    )
    return {row["source"]: row for row in rows}


async def list_versions(connection: Any, source: str, limit: int) -> list[Any]:
    """version, since, decided_by, reason, newest first."""
    rows: list[Any] = await connection.fetch(
        """SELECT version, since, decided_by, reason FROM registry WHERE source = $1
           ORDER BY version DESC LIMIT $2""",
        source,
        limit,
    )
    return rows


async def insert_versions(tx: Tx, rows: Sequence[tuple[str, int, datetime, bytes, str, str]]) -> int:
    """How many were new: a version that somebody else has entered meanwhile stays as it is."""
    return len(await bulk.insert_new(tx, RegistryRow, _COLUMNS, sorted(rows), returning="source"))
