"""SQL of the outbox, for jobs that work slower while live events wait."""

from shell.store.transaction import Tx


async def count_waiting(tx: Tx, limit: int) -> int:
    """Return the number of rows in the outbox, counted up to `limit`."""
    found: int = await tx.sql.fetchval("SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS waiting", limit)
    return found
