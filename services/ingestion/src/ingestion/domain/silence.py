"""When a source that should have spoken is silent."""

from datetime import datetime, timedelta
from typing import Final, Literal

from common.calendar import add_months, civil_date, start_of_day

Cadence = Literal["daily", "working_days", "weekly", "monthly"]
GRACE_HOURS: Final[dict[Cadence, int]] = {"daily": 12, "working_days": 12, "weekly": 48, "monthly": 120}
WEEKEND: Final = (5, 6)


def silent_after(heard_at: datetime, cadence: Cadence) -> datetime:
    """The instant from which on silence is an alarm: the end of the next day, week or month after the last word, and a
    grace."""
    on = civil_date(heard_at)
    match cadence:
        case "daily":
            last = on + timedelta(days=1)
        case "working_days":
            last = on + timedelta(days=1)
            while last.weekday() in WEEKEND:
                last += timedelta(days=1)
        case "weekly":
            last = on + timedelta(days=7)
        case "monthly":
            last = add_months(on, 1)
    return start_of_day(last + timedelta(days=1)) + timedelta(hours=GRACE_HOURS[cadence])
