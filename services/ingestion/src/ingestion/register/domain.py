"""How much a source may send: two buckets, of a minute and of a day, that fill again by themselves.

A request may take more than is there as long as one event is left, so that one larger than a bucket passes
too; what it takes too much is owed, and nothing more passes until the debt is filled up.
"""

from datetime import datetime
from typing import Final, NamedTuple

MINUTE_SECONDS: Final = 60.0
DAY_SECONDS: Final = 86_400.0
_ROUNDING: Final = 1e-6


class Limits(NamedTuple):
    """Events."""

    per_minute: int
    per_day: int


class Bucket(NamedTuple):
    minute_left: float
    day_left: float
    at: datetime


def filled(bucket: Bucket | None, limits: Limits, now: datetime) -> Bucket:
    """The bucket as it stands now; a new one is full. A clock that was set back fills nothing."""
    if bucket is None:
        return Bucket(limits.per_minute, limits.per_day, now)
    seconds = max(0.0, (now - bucket.at).total_seconds())
    return Bucket(
        min(limits.per_minute, bucket.minute_left + seconds * limits.per_minute / MINUTE_SECONDS),
        min(limits.per_day, bucket.day_left + seconds * limits.per_day / DAY_SECONDS),
        max(now, bucket.at),
    )


def taken(bucket: Bucket, events: int) -> Bucket:
    return bucket._replace(minute_left=bucket.minute_left - events, day_left=bucket.day_left - events)


def wait_seconds(bucket: Bucket, limits: Limits) -> float:
    """Until one more may be taken; 0 when it may."""
    minute = _missing(bucket.minute_left) * MINUTE_SECONDS / limits.per_minute
    day = _missing(bucket.day_left) * DAY_SECONDS / limits.per_day
    return max(minute, day)


def _missing(left: float) -> float:
    return 1 - left if left < 1 - _ROUNDING else 0.0
