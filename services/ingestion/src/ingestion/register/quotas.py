"""Quotas across all replicas. The buckets are in the database; each process leases a part of them in advance.

A lease saves round trips: the channels ask the database once per some thousand events. A process that ends loses its
unused lease, at most a twentieth of a minute's quota.
"""

import asyncio
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from common.errors import TooBusy
from prometheus_client import Counter
from shell import clock
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.pushed import Pushed
from ingestion.register.domain import Bucket, Limits, filled, taken, wait_seconds
from ingestion.register.sources import entry_of
from ingestion.register.store import quotas as store

ADVANCE_PARTS: Final = 20
WAIT_SECONDS_MAX: Final = 3_600
refused = Counter("shouwang_quota_refused", "Requests refused because their source is over its quota", ["source"])


class _Lease:
    """The events that this process has leased for a source. `closed_until`: until then, the source's bucket in the
    database is empty."""

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


class _Drawn(NamedTuple):
    """Events drawn from a bucket, or the seconds to wait if none were."""

    events: int
    wait: float


_uncharged: Counted[str] = Counted()  # events that came by Kafka, per source, not yet charged to its bucket
_leases: "WeakKeyDictionary[Database, dict[str, _Lease]]" = WeakKeyDictionary()


async def admit(database: Database, events: Sequence[Pushed], sent: Mapping[str, int]) -> None:
    """Charge a request to its sources. `sent`: number of events per source.

    Raises TooBusy if a source is over its quota. A request with a death or a sign of life always passes as a whole,
    and its source goes into debt.
    """
    is_urgent = any(event.kind in URGENT_KINDS for event in events)
    for urn in sorted(sent):
        wait = await _take(database, urn, sent[urn], may_refuse=not is_urgent)
        if wait:
            refused.labels(urn).inc()
            raise over_quota(wait)


def over_quota(wait: float) -> TooBusy:
    """The error for a source that is over its quota. `wait`: seconds."""
    seconds = min(int(wait) + 1, WAIT_SECONDS_MAX)
    return TooBusy("this source has sent more than agreed", retry_after_seconds=seconds, code="quota_exceeded")


async def must_wait(database: Database, urn: str | None, kind: str | None) -> bool:
    """Whether rows of this source and kind must wait for quota. Deaths and signs of life never wait."""
    limits, now = _limits(urn), clock.real_now()
    if urn is None or limits is None or kind in URGENT_KINDS:
        return False
    lease = _lease(database, urn)
    if lease.left > 0 or lease.wait_seconds(now):
        return lease.left <= 0
    return wait_seconds(await _load_filled(database, urn, limits), limits) > 0


async def owe(database: Database, sent: Mapping[str, int]) -> None:
    """Charge events that are already accepted, also beyond the quota. The debt delays the source's later events."""
    for urn in sorted(sent):
        await _take(database, urn, sent[urn], may_refuse=False)


async def owe_on(tx: Tx, sent: Mapping[str, int]) -> None:
    """Like `owe`, in the caller's transaction. Small amounts are collected in memory before they are charged; a process
    that ends forgets them."""
    for urn in sorted(sent):
        limits = _limits(urn)
        if limits is None:
            continue
        _uncharged[urn] += sent[urn]
        if _uncharged[urn] >= _advance(limits):
            await _draw(tx, urn, limits, _uncharged.pop(urn), 0, clock.real_now(), may_refuse=False)


async def load_left(database: Database, urn: str) -> Bucket | None:
    """The source's bucket as of now; None for a source without a quota."""
    limits = _limits(urn)
    return await _load_filled(database, urn, limits) if limits is not None else None


def forget() -> None:
    """Drop all leases and uncharged events of this process."""
    _leases.clear()
    _uncharged.clear()


async def _load_filled(database: Database, urn: str, limits: Limits) -> Bucket:
    async with database.reading() as connection:
        bucket = await store.load(connection, urn)
    return filled(bucket, limits, clock.real_now())


def _limits(urn: str | None) -> Limits | None:
    entry = entry_of(urn)
    quota = entry.quota if entry is not None else None
    return Limits(quota.per_minute, quota.per_day) if quota is not None else None


def _lease(database: Database, urn: str) -> _Lease:
    return _leases.setdefault(database, {}).setdefault(urn, _Lease())


async def _take(database: Database, urn: str, events: int, *, may_refuse: bool) -> float:
    """Take events from the lease; returns the seconds to wait, 0 if they were taken."""
    limits = _limits(urn)
    if limits is None:
        return 0.0
    lease = _lease(database, urn)
    if lease.spend(events):
        return 0.0
    async with lease.drawing:  # one request draws for all that wait here, else each would draw an advance
        if lease.spend(events):
            return 0.0
        return await _renew(database, urn, limits, lease, events, may_refuse=may_refuse)


async def _renew(
    database: Database, urn: str, limits: Limits, lease: _Lease, events: int, *, may_refuse: bool
) -> float:
    """Draw a new lease and take the events from it; returns the seconds to wait, 0 if they were taken."""
    now = clock.real_now()
    if may_refuse and (wait := lease.wait_seconds(now)):
        return wait
    missing = events - lease.left
    async with database.transaction() as tx:
        drawn = await _draw(tx, urn, limits, missing, _advance(limits), now, may_refuse=may_refuse)
    if drawn.wait:
        lease.closed_until = now + timedelta(seconds=drawn.wait)
        return drawn.wait
    # Other requests may have spent meanwhile. Then `left` is a small debt, which the next draw covers.
    lease.left, lease.closed_until = lease.left + drawn.events - events, None
    return 0.0


def _advance(limits: Limits) -> int:
    """The number of events that a process leases in advance."""
    return max(1, min(limits) // ADVANCE_PARTS)


async def _draw(
    tx: Tx, urn: str, limits: Limits, needed: int, advance: int, now: datetime, *, may_refuse: bool
) -> _Drawn:
    """Draw the needed events from the bucket, and up to `advance` more if they are left."""
    bucket = filled(await store.lock(tx, urn, filled(None, limits, now)), limits, now)
    if may_refuse and (wait := wait_seconds(bucket, limits)):
        return _Drawn(0, wait)
    spare = int(min(bucket.minute_left, bucket.day_left)) - needed
    drawn = needed + max(0, min(advance, spare))
    await store.save(tx, urn, taken(bucket, drawn))
    return _Drawn(drawn, 0.0)
