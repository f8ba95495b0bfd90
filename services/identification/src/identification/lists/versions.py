"""One version of a list, locked or loaded for a caller."""

import asyncpg
from common.errors import NotFound
from shell.access.auth import Caller
from shell.store.transaction import Tx

from identification.lists.shapes import PolicyVersionOut, show_version
from identification.lists.store import policies as store
from identification.lists.store.policies import Policy


async def lock_version(tx: Tx, version: str, caller: Caller) -> Policy:
    """Raises NotFound, or NotAllowed outside the caller's area."""
    return _need(await store.lock_policy(tx, version), caller)


async def load_version(connection: asyncpg.Connection, version: str, caller: Caller) -> Policy:
    """Raises NotFound, or NotAllowed outside the caller's area."""
    return _need(await store.load_policy(connection, version), caller)


async def stored_version(tx: Tx, version: str) -> PolicyVersionOut:
    """The answer about a version after the change of this transaction."""
    policy = await store.lock_policy(tx, version)
    assert policy is not None
    return show_version(policy)


def _need(policy: Policy | None, caller: Caller) -> Policy:
    if policy is None:
        raise NotFound("no such version")
    caller.need_area(policy.jurisdiction)
    return policy
