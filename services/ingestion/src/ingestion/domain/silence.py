"""Computes when the silence of a source becomes an alarm."""

from datetime import date, datetime, timedelta
from typing import Final, Literal

from common.calendar import add_months, add_working_days, civil_date, start_of_day

Cadence = Literal["daily", "working_days", "weekly", "monthly"]
GRACE_HOURS: Final[dict[Cadence, int]] = {"daily": 12, "working_days": 12, "weekly": 48, "monthly": 120}


def silent_after(last_event_at: datetime, cadence: Cadence) -> datetime:
    """The instant from which silence is an alarm: the end of the day on which the next event is due, plus the grace
    period of the cadence."""
    due_on = _next_due_on(civil_date(last_event_at), cadence)
    return start_of_day(due_on + timedelta(days=1)) + timedelta(hours=GRACE_HOURS[cadence])


def _next_due_on(day: date, cadence: Cadence) -> date:
    """The last day on which the next event of the source is in time."""
    match cadence:
        case "daily":
            return day + timedelta(days=1)
        case "working_days":
            return add_working_days(day, 1)
        case "weekly":
            return day + timedelta(days=7)
        case "monthly":
            return add_months(day, 1)
