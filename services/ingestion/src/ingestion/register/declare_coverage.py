"""The job that emits `CoverageDeclared` for each division whose coverage entries in the register have changed.

Coverage entries (`feeds`) change in three ways: a new version of a source is entered, an entered version begins, or a
source becomes inactive. The job compares the entries with the last declaration of each division. So nothing is declared
twice, and a crash loses nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from common.events import CoverageDeclared, FeedDeclared
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.register import sources
from ingestion.register.sources import Version
from ingestion.register.store import coverage as store

DIVISIONS_MAX: Final = 500
Feeds = tuple[FeedDeclared, ...]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CoverageDeclared).decode


async def declare_coverage(database: Database, divisions_max: int = DIVISIONS_MAX) -> int:
    """Declare the coverage of at most `divisions_max` changed divisions. Returns their number."""
    await sources.refresh(database)
    wanted = feeds_by_division(sources.versions())
    now = clock.now()
    async with database.transaction() as tx:
        declared = {division: _decode(body) for division, body in (await store.lock_declared(tx)).items()}
        changed = _changed(declared, wanted)[:divisions_max]
        events = [_event(d, declared.get(d), wanted.get(d), now) for d in changed]
        await store.save_declared(tx, [_emit(tx, event) for event in events])
    return len(changed)


def feeds_by_division(versions: Mapping[str, Version]) -> dict[str, Feeds]:
    """The coverage entries of every division that a source names. An inactive source adds divisions without entries."""
    found: dict[str, set[FeedDeclared]] = {}
    for version in versions.values():
        for feed in version.entry.feeds:
            feeds = found.setdefault(feed.division, set())
            if version.entry.active:
                feeds.add(FeedDeclared(kind=feed.kind, since=feed.since, until=feed.until))
    return {division: tuple(sorted(feeds, key=repr)) for division, feeds in found.items()}


def _changed(declared: Mapping[str, CoverageDeclared], wanted: Mapping[str, Feeds]) -> list[str]:
    """The divisions whose feeds differ from the last declaration, in a fixed order."""
    divisions = sorted({*wanted, *declared})
    return [division for division in divisions if _differs(declared.get(division), wanted.get(division))]


def _event(division: str, before: CoverageDeclared | None, feeds: Feeds | None, now: datetime) -> CoverageDeclared:
    return CoverageDeclared(
        division=division,
        version=before.version + 1 if before else 1,
        recorded_at=now,
        feeds=feeds or (),
        withdrawn=feeds is None,
    )


def _emit(tx: Tx, event: CoverageDeclared) -> store.Declared:
    body = _encode(event)
    tx.emit_stored(event, encoded=body, division=event.division)
    return store.Declared(event.division, event.version, body)


def _differs(declared: CoverageDeclared | None, wanted: Feeds | None) -> bool:
    if declared is None or declared.withdrawn:
        return wanted is not None
    return wanted is None or declared.feeds != wanted
