"""Lock or load one version of a list for a caller who may see it."""

import asyncpg
from common.errors import NotFound
from shell.access.auth import Caller
from shell.store.transaction import Tx

from identification.lists.shapes import PolicyVersionOut, show_version
from identification.lists.store import policies as store
from identification.lists.store.policies import Policy


async def lock_version(tx: Tx, version: str, caller: Caller) -> Policy:
    """Lock and return a version. Raises NotFound, or NotAllowed outside the caller's area."""
    return _need(await store.lock_policy(tx, version), caller)


async def load_version(connection: asyncpg.Connection, version: str, caller: Caller) -> Policy:
    """Return a version without a lock. Raises NotFound, or NotAllowed outside the caller's area."""
    return _need(await store.load_policy(connection, version), caller)


async def stored_version(tx: Tx, version: str) -> PolicyVersionOut:
    """Return the answer about a version after the changes of this transaction. The version must exist."""
    policy = await store.lock_policy(tx, version)
    assert policy is not None
    return show_version(policy)


def _need(policy: Policy | None, caller: Caller) -> Policy:
    """Return the version if the caller may see it. Raises NotFound or NotAllowed."""
    if policy is None:
        raise NotFound("no such version")
    caller.need_area(policy.jurisdiction)
    return policy
