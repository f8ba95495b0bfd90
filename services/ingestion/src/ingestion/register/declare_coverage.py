"""The job that tells what is fed where, whenever the register says something else of a division.

The register changes by hand, by a version that begins on its day, and by the suspension of a source; what follows from
it is held against what was told last, so nothing is told twice and a kill in between is made up for by the next step.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from common.events import CoverageDeclared, FeedDeclared
from shell import clock
from shell.store.database import Database

from ingestion.register import sources
from ingestion.register.sources import Version
from ingestion.register.store import coverage as store

DIVISIONS_MAX: Final = 500
Feeds = tuple[FeedDeclared, ...]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CoverageDeclared).decode


async def tell_coverage(database: Database, divisions_max: int = DIVISIONS_MAX) -> int:
    """One bounded step; returns of how many divisions something was told."""
    await sources.look(database)
    wanted = feeds_by_division(sources.versions())
    now = clock.now()
    async with database.transaction() as tx:
        told = {division: _decode(said) for division, said in (await store.lock_told(tx)).items()}
        changed = [d for d in sorted({*wanted, *told}) if _differs(told.get(d), wanted.get(d))][:divisions_max]
        rows = []
        for division in changed:
            feeds, before = wanted.get(division), told.get(division)
            event = CoverageDeclared(
                division=division,
                version=before.version + 1 if before else 1,
                recorded_at=now,
                feeds=feeds or (),
                withdrawn=feeds is None,
            )
            said = _encode(event)
            tx.emit_stored(event, encoded=said, division=division)
            rows.append((division, event.version, said))
        await store.save_told(tx, rows)
    return len(changed)


def feeds_by_division(versions: Mapping[str, Version]) -> dict[str, Feeds]:
    """Of every division that any entry names. The feeds of an inactive source tell nothing, but they were declared."""
    found: dict[str, set[FeedDeclared]] = {}
    for version in versions.values():
        for feed in version.entry.feeds:
            feeds = found.setdefault(feed.division, set())
            if version.entry.active:
                feeds.add(FeedDeclared(kind=feed.kind, since=feed.since, until=feed.until))
    return {division: tuple(sorted(feeds, key=repr)) for division, feeds in found.items()}


def _differs(told: CoverageDeclared | None, wanted: Feeds | None) -> bool:
    if told is None or told.withdrawn:
        return wanted is not None
    return wanted is None or told.feeds != wanted
