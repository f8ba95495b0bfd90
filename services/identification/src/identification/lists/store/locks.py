"""Take advisory locks on the lists. A lock ends with its transaction."""

from shell.store.transaction import Tx


async def lock_lists(tx: Tx) -> None:
    """Wait for all deciders and other publishers, and exclude them.

    So every decision by the old lists is stored before the job looks for the people whom new lists touch.
    """
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('identification.lists'))")


async def share_lists(tx: Tx) -> None:
    """Wait for publishers and exclude them, but not other deciders."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock_shared(hashtext('identification.lists'))")


async def lock_proposals(tx: Tx) -> None:
    """Exclude other proposals, so that two requests for the same list make one proposal."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('identification.lists.proposals'))")
