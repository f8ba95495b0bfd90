"""Seed the lists from the files under `contracts/policy`.

On an empty database, a list is published if it gives no less than the published lists above it, except by a signed
deviation. Any other list becomes a proposal; the lists above it count until its publication. On an empty database of a
demonstration, all lists are published. On a database with published lists, a changed or new list becomes a proposal.
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

from identification.lists.domain.content import content_version, decode_list
from identification.lists.in_force import publish
from identification.lists.proposals import propose
from identification.lists.store import locks, policies, publications, seeded

log = logging.getLogger(__name__)
_SEEDER: Final = "contracts/policy"


async def seed(database: Database, folder: Path | None = None) -> None:
    """Publish or propose the lists whose files have changed since the last start. Every replica runs this at its start.

    Raises PolicyError if a file is not a list.
    """
    lists = load_lists(folder or repository_root() / "contracts" / "policy")
    versions = {area: content_version(one) for area, one in lists.items()}
    publishable = await asyncio.to_thread(_publishable, lists, demo=settings().demo)
    now = clock.now()
    async with database.transaction() as tx:
        await locks.lock_lists(tx)
        await locks.lock_proposals(tx)
        seen = await seeded.load_seeded(tx.sql)
        changed = [area for area in lists if versions[area] != seen.get(area)]
        is_empty = not await publications.versions_in_force(tx.sql)
        for area in changed:
            if is_empty and area in publishable:
                await _publish(tx, lists[area], versions[area], now)
            else:
                await _propose(tx, lists[area], versions[area], now)
        await seeded.save_seeded(tx, {area: versions[area] for area in changed}, now)


def _publishable(lists: Mapping[str, PolicyList], *, demo: bool) -> frozenset[str]:
    """Return the areas whose lists need no signature; in a demonstration, all areas.

    Such a list gives every person at least the benefits of the publishable lists above it.
    """
    found: dict[str, PolicyList] = {}
    for area in sorted(lists, key=lambda area: len(divisions.ancestors(area))):
        if demo or prove_inclusion(lists[area], lists_above(area, found), demo=False).holds:
            found[area] = lists[area]
    return frozenset(found)


async def _publish(tx: Tx, policy_list: PolicyList, version: str, now: datetime) -> None:
    if version in await policies.known_versions(tx.sql):
        await policies.mark_published(tx, version)
    else:
        await policies.insert_policy(tx, policy_list, version, state="published", proposed_by=_SEEDER, proposed_at=now)
    await publish(tx, policy_list, version, now=now, published_by=_SEEDER, approved_by="[]")
    log.info("published the list of %s from its files", policy_list.jurisdiction)


async def _propose(tx: Tx, policy_list: PolicyList, version: str, now: datetime) -> None:
    in_force = await publications.load_list_in_force(tx.sql, policy_list.jurisdiction)
    if in_force is not None and decode_list(in_force.list) == policy_list:
        return
    if await propose(tx, policy_list, version, by=_SEEDER, now=now):
        log.warning("the files of %s are a new list: version %s is proposed", policy_list.jurisdiction, version)
