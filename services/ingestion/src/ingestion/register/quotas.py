"""Quotas over all replicas: the buckets stand in the database, and a process takes out of them a little in advance.

So the doors ask the database once for some thousand events. What a process took in advance and did not use is lost to
the source when the process ends: at most a twentieth of a minute's quota.
"""

import asyncio
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

from common.errors import TooBusy
from prometheus_client import Counter
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.pushed import Pushed
from ingestion.register.domain import Bucket, Limits, filled, taken, wait_seconds
from ingestion.register.sources import versions
from ingestion.register.store import quotas as store

ADVANCE_PARTS: Final = 20
WAIT_SECONDS_MAX: Final = 3_600
refused = Counter("shouwang_quota_refused", "Requests refused because their source is over its quota", ["source"])


class _Lease:
    """What this process has taken in advance, and until when the source is known to have nothing left."""

    __slots__ = ("closed_until", "drawing", "left")

    def __init__(self) -> None:
        self.drawing = asyncio.Lock()
        self.left = 0
        self.closed_until: datetime | None = None

    def spend(self, events: int) -> bool:
        if self.left < events:
            return False
        self.left -= events
        return True

    def wait_seconds(self, now: datetime) -> float:
        return max(0.0, (self.closed_until - now).total_seconds()) if self.closed_until else 0.0


_owed: Counted[str] = Counted()  # what came by Kafka and is not charged yet
_leases: "WeakKeyDictionary[Database, dict[str, _Lease]]" = WeakKeyDictionary()


async def admit(database: Database, events: Sequence[Pushed], sent: Mapping[str, int]) -> None:
    """Take what a request costs: `sent` events by source. Raises TooBusy where a source is over its quota, unless a
    death or a sign of life is among the events: then the whole request passes, and its source owes."""
    needed = any(event.kind in URGENT_KINDS for event in events)
    for urn in sorted(sent):
        wait = await _take(database, urn, sent[urn], may_refuse=not needed)
        if wait:
            refused.labels(urn).inc()
            raise over_quota(wait)


def over_quota(wait: float) -> TooBusy:
    seconds = min(int(wait) + 1, WAIT_SECONDS_MAX)
    return TooBusy("this source has sent more than agreed", retry_after_seconds=seconds, code="quota_exceeded")


async def must_wait(database: Database, urn: str | None, kind: str | None) -> bool:
    """Whether rows of this source should lie still for now. Those of a death or a sign of life never do."""
    limits, now = _limits(urn), clock.real_now()
    if urn is None or limits is None or kind in URGENT_KINDS:
        return False
    lease = _lease(database, urn)
    if lease.left > 0 or lease.wait_seconds(now):
        return lease.left <= 0
    async with database.reading() as connection:
        return wait_seconds(filled(await store.load(connection, urn), limits, now), limits) > 0


async def owe(database: Database, sent: Mapping[str, int]) -> None:
    """Charge what was taken already, whatever is left: who cannot be told to wait is slowed down later."""
    for urn in sorted(sent):
        await _take(database, urn, sent[urn], may_refuse=False)


async def owe_on(tx: Tx, sent: Mapping[str, int]) -> None:
    """The same within a batch's own transaction, which asks the database only now and then."""
    for urn in sorted(sent):
        limits = _limits(urn)
        if limits is None:
            continue
        _owed[urn] += sent[urn]
        if _owed[urn] >= _advance(limits):
            await _draw(tx, urn, limits, _owed.pop(urn), 0, clock.real_now(), may_refuse=False)


async def what_is_left(database: Database, urn: str) -> Bucket | None:
    """None for a source without a quota."""
    limits = _limits(urn)
    if limits is None:
        return None
    async with database.reading() as connection:
        return filled(await store.load(connection, urn), limits, clock.real_now())


def forget() -> None:
    """What this process has in hand, as if it had begun anew."""
    _leases.clear()
    _owed.clear()


def _limits(urn: str | None) -> Limits | None:
    version = versions().get(urn or "")
    quota = version.entry.quota if version is not None else None
    return Limits(quota.per_minute, quota.per_day) if quota is not None else None


def _lease(database: Database, urn: str) -> _Lease:
    return _leases.setdefault(database, {}).setdefault(urn, _Lease())


async def _take(database: Database, urn: str, events: int, *, may_refuse: bool) -> float:
    """Seconds to wait; 0 when the events were taken."""
    limits, now = _limits(urn), clock.real_now()
    if limits is None:
        return 0.0
    lease = _lease(database, urn)
    if lease.spend(events):
        return 0.0
    async with lease.drawing:  # one asks for all who wait here: together they would take many times as much
        if lease.spend(events):
            return 0.0
        if may_refuse and (wait := lease.wait_seconds(now)):
            return wait
        missing = events - lease.left
        async with database.transaction() as tx:
            drawn, wait = await _draw(tx, urn, limits, missing, _advance(limits), now, may_refuse=may_refuse)
        if wait:
            lease.closed_until = now + timedelta(seconds=wait)
            return wait
        # others may have spent meanwhile: what is left then is a small debt, drawn with the next
        lease.left, lease.closed_until = lease.left + drawn - events, None
    return 0.0


def _advance(limits: Limits) -> int:
    return max(1, min(limits) // ADVANCE_PARTS)


async def _draw(
    tx: Tx, urn: str, limits: Limits, needed: int, advance: int, now: datetime, *, may_refuse: bool
) -> tuple[int, float]:
    """(what was taken, seconds to wait): what is needed, and in advance no more than is there."""
    bucket = filled(await store.lock(tx, urn, filled(None, limits, now)), limits, now)
    if may_refuse and (wait := wait_seconds(bucket, limits)):
        return 0, wait
    spare = int(min(bucket.minute_left, bucket.day_left)) - needed
    drawn = needed + max(0, min(advance, spare))
    await store.save(tx, urn, taken(bucket, drawn))
    return drawn, 0.0
