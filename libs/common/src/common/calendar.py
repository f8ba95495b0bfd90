"""Compute with civil dates of Asia/Shanghai: months, ages, and working days in China.

Working days follow the public holidays and the exchanged days that the State Council announces. The announcement for
a year appears in the autumn before. For a year that `chinese_calendar` does not know yet, Monday to Friday count as
working days.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

import chinese_calendar

# A fixed offset, not the zone file: a slim container has none, and China has kept UTC+8 without summer
# time since 1992.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
DAYS_MAX: Final = 1_000
_WEEKEND: Final = (5, 6)


def is_working_day(day: date) -> bool:
    """Whether offices work on this day."""
    try:
        found: bool = chinese_calendar.is_workday(day)
    except NotImplementedError:
        return day.weekday() not in _WEEKEND
    return found


def add_working_days(day: date, count: int) -> date:
    """Return the `count`-th working day after `day`; for a count of 0, `day` itself.

    Raises ValueError for a count below 0 or above DAYS_MAX."""
    if not 0 <= count <= DAYS_MAX:
        raise ValueError(f"between 0 and {DAYS_MAX} working days")
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def civil_date(instant: datetime) -> date:
    """The date in Asia/Shanghai at an instant. Raises ValueError for an instant without a zone."""
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
    """The first day of a month written `YYYY-MM`. Raises ValueError for any other text."""
    return date.fromisoformat(f"{text}-01")


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of a month without that day (31 January + 1 → 28 or 29 February)."""
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, min(day.day, _days_in(year, month)))


def _days_in(year: int, month: int) -> int:
    return ((date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day


def birthday(birth: date, years: int) -> date:
    """The day on which a person completes `years` years. For a birth on 29 February it is 1 March in common years."""
    year = birth.year + years
    if birth.month == 2 and birth.day == 29 and _days_in(year, 2) == 28:
        return date(year, 3, 1)
    return birth.replace(year=year)


def age_on(birth: date, on: date) -> int:
    """The age in completed years (周岁) on a civil date. It grows on the birthday itself. It is negative before the
    birth."""
    years = on.year - birth.year
    return years if on >= birthday(birth, years) else years - 1
