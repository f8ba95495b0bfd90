"""The files under `contracts/policy` are a seed, never a way into force.

On an empty database they are published, as far as each gives no less than the files above it. A list that narrows,
and has no signed deviation for that, starts as a proposal; until it is published the lists above it govern. On a
database with published lists a changed or new file becomes a proposal. A demonstration counts example deviations.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from common.codes import divisions
from rules.form.policy import PolicyList, load_lists
from rules.proof.inclusion import lists_above, prove_inclusion
from shell import clock
from shell.settings import repository_root, settings
from shell.store.database import Database
from shell.store.transaction import Tx

from identification.lists.in_force import publish
from identification.lists.proposals import propose
from identification.lists.store import lists as store
from identification.lists.store import seeded

log = logging.getLogger(__name__)
_SEEDER: Final = "contracts/policy"


async def seed(database: Database, folder: Path | None = None) -> None:
    """Runs at every start of every replica; only content that was not seen before does anything.

    Raises PolicyError for files that are no lists.
    """
    lists = load_lists(folder or repository_root() / "contracts" / "policy")
    versions = {area: store.content_version(one) for area, one in lists.items()}
    first = await asyncio.to_thread(_need_no_signature, lists, demo=settings().demo)
    now = clock.now()
    async with database.transaction() as tx:
        await store.lock_lists(tx)
        await store.lock_proposals(tx)
        seen = await seeded.load_seeded(tx.sql)
        changed = {area: one for area, one in lists.items() if versions[area] != seen.get(area)}
        is_empty = not await store.running_versions(tx.sql)
        for area, one in changed.items():
            if is_empty and area in first:
                await _publish(tx, one, versions[area], now)
            else:
                await _propose(tx, one, versions[area], now)
        await seeded.save_seeded(tx, {area: versions[area] for area in changed}, now)


def _need_no_signature(lists: Mapping[str, PolicyList], *, demo: bool) -> frozenset[str]:
    """Areas whose files give everybody at least what the files above them give, as far as those need no signature
    either. In a demonstration all areas."""
    sound: dict[str, PolicyList] = {}
    for area in sorted(lists, key=lambda area: len(divisions.ancestors(area))):
        if demo or prove_inclusion(lists[area], lists_above(area, sound), demo=False).holds:
            sound[area] = lists[area]
    return frozenset(sound)


async def _publish(tx: Tx, policy_list: PolicyList, version: str, now: datetime) -> None:
    if version in await store.known_versions(tx.sql):
        await store.mark_published(tx, version)
    else:
        await store.insert_policy(tx, policy_list, version, state="published", proposed_by=_SEEDER, proposed_at=now)
    await publish(tx, policy_list, version, now=now, published_by=_SEEDER, approved_by="[]")
    log.info("published the list of %s from its files", policy_list.jurisdiction)


async def _propose(tx: Tx, policy_list: PolicyList, version: str, now: datetime) -> None:
    row = await store.load_running(tx.sql, policy_list.jurisdiction)
    if row is not None and store.decode_list(row["list"]) == policy_list:
        return
    if await propose(tx, policy_list, version, by=_SEEDER, now=now):
        log.warning("the files of %s are a new list: %s is proposed", policy_list.jurisdiction, version)
