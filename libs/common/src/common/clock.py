"""The one clock. Business time is real time plus one stored offset that all services on a machine share.

The offset is text (seconds, may be negative) in `$SHOUWANG_HOME/clock`. Only a demonstration and tests read it
(`Settings.moves_clock`); everywhere else the file is ignored and business time is real time. Leases, tokens and
time-outs use `real_now`. Civil dates are those of Asia/Shanghai. No other module reads the time of day.
"""

import os
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

from common.settings import settings

# A fixed offset, not the zone file: a slim container has none, and China has kept UTC+8 without summer
# time since 1992.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
_LOOK_EVERY_SECONDS = 0.05


class _Offset:
    """The stored offset, looked at again when the file has changed."""

    def __init__(self) -> None:
        self.value = timedelta()
        self.looked_at = float("-inf")
        self.path: Path | None = None
        self.mark: tuple[int, int, int] | None = None

    def get(self) -> timedelta:
        moment = time.monotonic()
        if moment - self.looked_at >= _LOOK_EVERY_SECONDS:
            self.looked_at = moment
            self._look()
        return self.value

    def _look(self) -> None:
        if not settings().moves_clock:
            self.value, self.mark = timedelta(), None
            return
        path = _file()
        try:
            found = path.stat()
        except FileNotFoundError:
            self.value, self.mark = timedelta(), None
            return
        mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        if (path, mark) != (self.path, self.mark):
            self.value = timedelta(seconds=float(path.read_text(encoding="ascii")))
            self.path, self.mark = path, mark


_offset = _Offset()


def _file() -> Path:
    return Path(os.environ.get("SHOUWANG_HOME", ".shouwang")) / "clock"


def now() -> datetime:
    """Business time as a UTC instant."""
    return datetime.now(UTC) + _offset.get()


def real_now() -> datetime:
    """Real time as a UTC instant, for leases, tokens and time-outs."""
    return datetime.now(UTC)


def today() -> date:
    """The civil date of business time in Asia/Shanghai."""
    return civil_date(now())


def set_offset(offset: timedelta) -> None:
    """Store the offset for all services of this machine; each reads it within 50 ms.

    Raises RuntimeError where nobody reads it.
    """
    if not settings().moves_clock:
        raise RuntimeError("business time is real time here: set SHOUWANG_DEMO=1 for a demonstration")
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"clock.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(repr(offset.total_seconds()))
    fresh.replace(path)
    _offset.looked_at = float("-inf")


def set_now(instant: datetime) -> None:
    """Store the offset that makes `instant` (with a zone) the present."""
    set_offset(instant - real_now())


def advance(by: timedelta) -> None:
    """Move business time on (or back) by a span."""
    set_offset(_offset.get() + by)


def civil_date(instant: datetime) -> date:
    """The date that a wall calendar in Asia/Shanghai shows at an instant. Raises ValueError without a
    zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return instant.astimezone(SHANGHAI).date()


def start_of_day(day: date) -> datetime:
    """The UTC instant at which a civil date begins in Asia/Shanghai."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def month_of(day: date) -> date:
    """The first day of the month, the stored form of a service month."""
    return day.replace(day=1)


def month_text(day: date) -> str:
    """`YYYY-MM`, the form of a service month on the wire."""
    return f"{day.year:04d}-{day.month:02d}"


def parse_month(text: str) -> date:
    """The first day of a month written `YYYY-MM`. Raises ValueError otherwise."""
    return date.fromisoformat(f"{text}-01")


def add_months(day: date, months: int) -> date:
    """The same day `months` later; the last day of that month where it has no such day (31 January + 1 →
    28 or 29).
    """
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, min(day.day, _days_in(year, month)))


def _days_in(year: int, month: int) -> int:
    return ((date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day


def birthday(birth: date, years: int) -> date:
    """The day on which a person completes that many years; 29 February counts on 1 March in a year
    without one.
    """
    year = birth.year + years
    if birth.month == 2 and birth.day == 29 and _days_in(year, 2) == 28:
        return date(year, 3, 1)
    return birth.replace(year=year)


def age_on(birth: date, on: date) -> int:
    """Completed years (周岁) on a civil date: the age is reached on the birthday itself. Negative before
    birth.
    """
    years = on.year - birth.year
    return years if on >= birthday(birth, years) else years - 1
