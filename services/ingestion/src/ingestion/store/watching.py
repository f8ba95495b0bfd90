"""Every SQL statement of watching over sources: gaps in their days, and silence."""

from collections.abc import Mapping
from datetime import datetime

from common.transaction import Tx


async def upsert_heard(tx: Tx, heard: Mapping[tuple[str, str], datetime]) -> None:
    """`heard`: the newest arrival by source and kind."""
    ordered = sorted(heard)
    await tx.sql.execute(
        """INSERT INTO source_kinds AS k (source, kind, heard_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
           ON CONFLICT (source, kind) DO UPDATE SET heard_at = greatest(k.heard_at, excluded.heard_at)""",
        [source for source, _ in ordered],
        [kind for _, kind in ordered],
        [heard[key] for key in ordered],
    )
