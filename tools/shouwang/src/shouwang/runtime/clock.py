"""Reads and moves the business time of a home: real time plus the seconds in its `clock` file.

Only the services of a demonstration and of tests read the file. In other homes business time is real time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from common import calendar
from shell import clock as common_clock
from shell.settings import settings

from shouwang.runtime.paths import demo_file, write_atomically
from shouwang.runtime.problems import LocalProblem

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moves(home: Path) -> bool:
    """True if the services of this home read its `clock` file."""
    return demo_file(home).exists() or settings().moves_clock


def offset(home: Path) -> timedelta:
    """Return business time minus real time; zero in a home without a movable clock. Raises LocalProblem."""
    if not moves(home):
        return timedelta()
    try:
        return timedelta(seconds=float((home / "clock").read_text(encoding="ascii")))
    except FileNotFoundError:
        return timedelta()
    except ValueError:
        raise LocalProblem(f"{home / 'clock'} does not hold a number of seconds: delete it to use real time.") from None


def business_time(home: Path) -> datetime:
    """The present business time of this home, in Asia/Shanghai."""
    return (common_clock.real_now() + offset(home)).astimezone(calendar.SHANGHAI)


def shown(home: Path) -> str:
    """Business time and its distance from real time, as text."""
    ahead = timedelta(seconds=round(offset(home).total_seconds()))
    return f"{business_time(home).isoformat(sep=' ', timespec='seconds')} ({_distance(ahead)})"


def _distance(ahead: timedelta) -> str:
    if not ahead:
        return "real time"
    return f"{ahead} ahead" if ahead > timedelta() else f"{-ahead} behind"


def set_business_time(home: Path, instant: datetime, *, force: bool = False) -> None:
    """Make `instant` the present. A past instant needs `force`, because services have acted on the later days.
    Raises LocalProblem without it, or if the clock of the home cannot be moved."""
    present = business_time(home)
    if instant < present and not force:
        raise LocalProblem(
            f"Business time is {present:%Y-%m-%d %H:%M:%S} already and does not go back to "
            f"{instant.astimezone(calendar.SHANGHAI):%Y-%m-%d %H:%M:%S}: use --force if you mean it."
        )
    _store(home, instant - common_clock.real_now())


def begin_at(home: Path, instant: datetime) -> None:
    """Set the first business time of a home, past or future. Later calls move it forward only.

    Raises LocalProblem if the clock of the home cannot be moved.
    """
    if not (home / "clock").exists() or instant > business_time(home):
        _store(home, instant - common_clock.real_now())


def advance(home: Path, by: timedelta) -> None:
    """Move business time forward by a span. Raises LocalProblem if the clock of the home cannot be moved."""
    _store(home, offset(home) + by)


def parse_span(text: str) -> timedelta:
    """Parse `3d`, `12h`, `90m`, `30s`, `1w`, or several (`1d12h`). Raises LocalProblem for other text."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise LocalProblem(f"`{text}` is not a span of time: write for example 3d, 12h, 90m or 1d12h.")
    parts = re.findall(r"(\d+)([smhdw])", text)
    return sum((timedelta(**{UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def parse_instant(text: str) -> datetime:
    """Parse ISO 8601. The default zone is Asia/Shanghai, the default time midnight. Raises LocalProblem."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise LocalProblem(f"`{text}` is not a time: write for example 2026-12-31T23:59:30+08:00.") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=calendar.SHANGHAI)


def _store(home: Path, ahead: timedelta) -> None:
    """Write business time minus real time to the `clock` file. Raises LocalProblem if the clock cannot be moved."""
    if not moves(home):
        raise LocalProblem(
            f"Business time of {home} is real time: only a demonstration moves the clock. "
            "Start one with `shouwang demo`, or with SHOUWANG_DEMO=1 and a new SHOUWANG_HOME."
        )
    write_atomically(home / "clock", repr(ahead.total_seconds()))
