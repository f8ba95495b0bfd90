"""`contracts/policy` seeds the lists: content that was never seen before is published; what officers published since
stays in force, because its files are old news."""

import logging
from pathlib import Path

from common import clock
from common.database import Database
from common.settings import repository_root
from rules.policy import load_lists

from identification.running import publish
from identification.store import lists as store

log = logging.getLogger(__name__)
_SEEDER = "contracts/policy"


async def seed(database: Database, folder: Path | None = None) -> None:
    """Called at every start, by every replica. Raises PolicyError for files that cannot be law."""
    lists = load_lists(folder or repository_root() / "contracts" / "policy")
    now = clock.now()
    async with database.transaction() as tx:
        await store.lock_lists(tx)
        known = await store.known_versions(tx.sql)
        for area, policy_list in lists.items():
            version = store.content_version(policy_list)
            if version in known:
                continue
            await store.insert_policy(tx, policy_list, version, state="published", proposed_by=_SEEDER, proposed_at=now)
            await publish(tx, policy_list, version, now=now, published_by=_SEEDER, approved_by="[]")
            log.info("published the list of %s from its files", area)
