"""The clock. Business time is real time plus a stored offset that all services of a machine share.

The offset is text (seconds, may be negative) in `$SHOUWANG_HOME/clock`. Only a demonstration and tests read it
(`Settings.moves_clock`); everywhere else the file is ignored and business time is real time. Leases, tokens and
time-outs use `real_now`. Civil dates are those of Asia/Shanghai. In libraries and services, only
`shell.kafka.retention` also reads the time of day. It compares with timestamps of the broker.
"""

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from common.calendar import civil_date

from shell.settings import paths, settings

_LOOK_EVERY_SECONDS = 0.05


class _Offset:
    """The stored offset. The file is read again when it has changed."""

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
        path = paths().clock
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

    Raises RuntimeError if this is no demonstration and no test: no service would read it.
    """
    if not settings().moves_clock:
        raise RuntimeError("business time is real time here: set SHOUWANG_DEMO=1 for a demonstration")
    path = paths().clock
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"clock.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(repr(offset.total_seconds()))
    fresh.replace(path)
    _offset.looked_at = float("-inf")


def set_now(instant: datetime) -> None:
    """Store the offset that makes `instant` (with a zone) the current business time."""
    set_offset(instant - real_now())


def advance(by: timedelta) -> None:
    """Move business time forward or back by a span."""
    set_offset(_offset.get() + by)
