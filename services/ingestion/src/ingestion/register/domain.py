"""Quota arithmetic: one token bucket per minute and one per day. Both refill continuously.

A request passes if at least one event is left in each bucket, so a request larger than a bucket passes, too. The excess
is a debt: no further request passes until each bucket has one event again.
"""

from datetime import datetime
from typing import Final, NamedTuple

MINUTE_SECONDS: Final = 60.0
DAY_SECONDS: Final = 86_400.0
_ROUNDING: Final = 1e-6


class Limits(NamedTuple):
    """The size of each bucket in events."""

    per_minute: int
    per_day: int


class Bucket(NamedTuple):
    """Events left in each bucket at the instant `at`; negative numbers are a debt."""

    minute_left: float
    day_left: float
    at: datetime


def filled(bucket: Bucket | None, limits: Limits, now: datetime) -> Bucket:
    """The bucket refilled up to `now`. None means a new, full bucket. A clock that was set back refills nothing."""
    if bucket is None:
        return Bucket(limits.per_minute, limits.per_day, now)
    seconds = max(0.0, (now - bucket.at).total_seconds())
    return Bucket(
        _refilled(bucket.minute_left, limits.per_minute, seconds, MINUTE_SECONDS),
        _refilled(bucket.day_left, limits.per_day, seconds, DAY_SECONDS),
        max(now, bucket.at),
    )


def _refilled(left: float, size: int, seconds: float, period: float) -> float:
    return min(size, left + seconds * size / period)


def taken(bucket: Bucket, events: int) -> Bucket:
    return bucket._replace(minute_left=bucket.minute_left - events, day_left=bucket.day_left - events)


def wait_seconds(bucket: Bucket, limits: Limits) -> float:
    """Seconds until one event is left in both buckets; 0 if it is now."""
    minute = _missing(bucket.minute_left) * MINUTE_SECONDS / limits.per_minute
    day = _missing(bucket.day_left) * DAY_SECONDS / limits.per_day
    return max(minute, day)


def _missing(left: float) -> float:
    """The events that must refill until one is left; 0 if one is left."""
    return 1 - left if left < 1 - _ROUNDING else 0.0
