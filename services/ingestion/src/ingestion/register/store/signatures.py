"""Every SQL statement of signed requests."""

from datetime import datetime

from shell.store.transaction import Tx


async def claim(tx: Tx, source: str, nonce: str, at: datetime, forget_before: datetime) -> bool:
    """Store a signature, and return whether it is new. Deletes signatures that are too old to be valid."""
    await tx.sql.execute("DELETE FROM signatures WHERE at < $1", forget_before)
    found = await tx.sql.fetchval(
        "INSERT INTO signatures (source, nonce, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1",
        source,
        nonce,
        at,
    )
    return found is not None
