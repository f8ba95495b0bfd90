"""Working days in China, with the public holidays and the days worked in exchange as the State Council announces them.

The announcement for a year appears in the autumn before. For a year that `chinese_calendar` does not know yet, Monday
to Friday count as working days.
"""

from datetime import date, timedelta
from typing import Final

import chinese_calendar

DAYS_MAX: Final = 1_000
_WEEKEND: Final = (5, 6)


def is_working_day(day: date) -> bool:
    """Whether offices are open on this day."""
    try:
        found: bool = chinese_calendar.is_workday(day)
    except NotImplementedError:
        return day.weekday() not in _WEEKEND
    return found


def add_working_days(day: date, count: int) -> date:
    """The day after which `count` working days have passed since `day`, which is not counted itself.

    Raises ValueError for a negative count or one above DAYS_MAX."""
    if not 0 <= count <= DAYS_MAX:
        raise ValueError(f"between 0 and {DAYS_MAX} working days")
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day
