"""SQL of `seeded_lists`: by area the version of its files that the last start of identification found."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from shell.store.transaction import Tx


async def load_seeded(connection: asyncpg.Connection) -> dict[str, str]:
    """Return by area the version of its files at the last start."""
    rows = await connection.fetch("SELECT jurisdiction, version FROM seeded_lists")
    return dict(tuple(row) for row in rows)


async def save_seeded(tx: Tx, versions: Mapping[str, str], seen_at: datetime) -> None:
    """Store by area the version of its files."""
    await tx.sql.execute(
        """INSERT INTO seeded_lists (jurisdiction, version, seen_at)
           SELECT *, $3 FROM unnest($1::text[], $2::text[])
           ON CONFLICT (jurisdiction) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at""",
        list(versions),
        list(versions.values()),
        seen_at,
    )
