"""Check a version before it is signed or published: soundness, valid simulations, and signatures that still count."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from shell import clock
from shell.access.auth import Caller
from shell.service import Db
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.domain.content import decode_list
from identification.lists.in_force import load_set, set_in_force
from identification.lists.store import publications
from identification.lists.store.policies import Policy
from identification.lists.store.publications import SetId
from identification.lists.versions import lock_version
from identification.release.domain import need_sound
from identification.simulating.valid_simulations import valid_simulations


async def check_soundness(db: Db, version: str, caller: Caller) -> SetId:
    """Check that a version is sound together with the lists in force, and return this set of lists.

    A published version is not checked again. Raises what `need_sound` and `lock_version` raise. The proof may take a
    second, so it holds no lock and runs in a thread.
    """
    async with db.transaction() as tx:
        policy = await lock_version(tx, version, caller)
        set_id = await publications.newest_set(tx.sql)
        lists = (await load_set(tx.sql, set_id)).lists
    if policy.state != "published":
        proposed, demo = decode_list(policy.list), settings().demo
        await asyncio.to_thread(need_sound, proposed, lists.by_area, lists.coverage, demo=demo)
    return set_id


async def load_valid_simulations(tx: Tx, policy: Policy) -> list[str]:
    """Return the ids of simulations of a version that may be signed now. Raises Conflict as `valid_simulations`."""
    in_force = await set_in_force(tx.sql)
    return await valid_simulations(tx.sql, in_force, decode_list(policy.list), policy.version, clock.now())


def valid_approvals(policy: Policy, simulations: Sequence[str]) -> list[dict[str, Any]]:
    """Return the signatures of a version for any of these simulations (form: `PolicyRow.approvals`)."""
    approvals = msgspec.json.decode(policy.approvals)
    return [approval for approval in approvals if approval["simulation_id"] in simulations]


def encode_approvals(approvals: Sequence[Any]) -> str:
    return msgspec.json.encode(approvals).decode()
