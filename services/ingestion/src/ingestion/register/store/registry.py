"""Every SQL statement of the register of sources. Versions are only added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shell.store import bulk, reads
from shell.store.reads import Select, col, select
from shell.store.transaction import Tx

from ingestion.register.tables import RegistryRow


class InForce(NamedTuple):
    """The version of a source that is in force. `entry`: `shapes.Entry` as JSON."""

    source: str
    version: int
    since: datetime
    entry: bytes


class Newest(NamedTuple):
    version: int
    entry: bytes
    decided_by: str


class Decision(NamedTuple):
    version: int
    since: datetime
    decided_by: str
    reason: str


class NewVersion(NamedTuple):
    source: str
    version: int
    since: datetime
    entry: bytes
    decided_by: str
    reason: str


async def count_versions(connection: Any, at: datetime) -> int:
    """The number of versions that have begun. It grows whenever another register is in force."""
    found: int = await connection.fetchval("SELECT count(*) FROM registry WHERE since <= $1", at)
    return found


async def load_in_force(connection: Any, at: datetime) -> list[InForce]:
    """Load the version of each source that is in force at `at`: the last one entered that has begun.

    A planned version that another one has replaced before its day never comes into force."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (source) source, version, since, entry FROM registry WHERE since <= $1
           ORDER BY source, version DESC""",
        at,
    )
    return [InForce(*row) for row in rows]


async def load_newest(connection: Any) -> dict[str, Newest]:
    """The version entered last of each source, also if it begins later."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (source) source, version, entry, decided_by FROM registry ORDER BY source, version DESC"
    )
    return {source: Newest(*values) for source, *values in rows}


@reads.rows(Decision)
def list_versions(source: str, limit: int) -> Select[RegistryRow]:
    """List the decisions about a source, newest first."""
    return (
        select(RegistryRow).where(RegistryRow.source == source).order_by(col(RegistryRow.version).desc()).limit(limit)
    )


async def insert_versions(tx: Tx, rows: Sequence[NewVersion]) -> int:
    """Insert versions; return their number. A version that another process has inserted meanwhile stays as it is."""
    return len(await bulk.insert_new(tx, RegistryRow, NewVersion._fields, sorted(rows), returning="source"))
