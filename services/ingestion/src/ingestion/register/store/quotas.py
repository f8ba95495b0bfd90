"""Every SQL statement of quotas."""

from typing import Any

from shell.store.transaction import Tx

from ingestion.register.domain import Bucket

_LOAD = "SELECT minute_left, day_left, at FROM quotas WHERE source = $1"


async def load(connection: Any, source: str) -> Bucket | None:
    row = await connection.fetchrow(_LOAD, source)
    return Bucket(*row) if row is not None else None


async def lock(tx: Tx, source: str, new: Bucket) -> Bucket:
    """The stored bucket, locked. `new` is stored if the source has none."""
    await tx.sql.execute(
        "INSERT INTO quotas (source, minute_left, day_left, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        source,
        *new,
    )
    return Bucket(*await tx.sql.fetchrow(f"{_LOAD} FOR UPDATE", source))


async def save(tx: Tx, source: str, bucket: Bucket) -> None:
    await tx.sql.execute(
        "UPDATE quotas SET minute_left = $2, day_left = $3, at = $4 WHERE source = $1", source, *bucket
    )
